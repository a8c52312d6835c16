"""The faults, by what they break. Each is one line that stands once in its file, and the tests that should notice."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

ORACLE = "tests/integration/test_commit_tree.py"


def _in(file: str, tests: str, *faults: tuple[str, str, str]) -> tuple[Mutant, ...]:
    """Faults of one file, each a title, what stands there and what comes in its place; `tests` are unit tests."""
    names = tuple(f"tests/unit/{test}.py" for test in tests.split())
    return tuple(Mutant(title, file, old, new, names) for title, old, new in faults)


def _in_commits(file: str, *faults: tuple[str, str, str]) -> tuple[Mutant, ...]:
    """The same, of faults that the oracle should notice (tests/oracle), on an engine."""
    return tuple(Mutant(title, file, old, new, (ORACLE,)) for title, old, new in faults)


MUTANTS: tuple[Mutant, ...] = (
    # --- what is on disk is the old or the new ---
    *_in(
        "bottle/files/atomic.py",
        "store/test_durability files/test_atomic",
        ("a file is not synced before its name", "os.fsync(file.fileno())", "pass"),
        ("a tree is not synced before its name", "        tree.sync(new)\n", ""),
        (
            "a file is written in its place",
            'temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")',
            "temporary = path",
        ),
        ("a failed write leaves its half", "            temporary.unlink(missing_ok=True)\n", ""),
    ),
    *_in(
        "bottle/files/atomic.py",
        "files/test_atomic",
        ("a tree that was being replaced is not put back", "        old.rename(target)\n", "        pass\n"),
    ),
    *_in(
        "bottle/store/converter.py",
        "store/test_golden store/test_kept",
        (
            "a document may lack anything",
            "            if not needed <= folded.keys():\n",
            "            if not folded:\n",
        ),
        (
            "what is wrong with a document is not looked at",
            "                form.check(value)\n",
            "                pass\n",
        ),
    ),
    *_in(
        "bottle/store/values.py",
        "store/test_golden store/test_kept",
        ("true is a number", "value, int) or isinstance(value, bool):", "value, int):"),
        ("a time needs no zone", "    if found.tzinfo is None:\n", "    if found is None:\n"),
    ),
    *_in(
        "bottle/store/home.py",
        "store/test_durability",
        ("a draft is adopted unsynced", "            tree.sync(draft.path)\n", ""),
    ),
    *_in(
        "bottle/files/tree.py",
        "store/test_durability files/test_tree",
        ("the files of a tree are not synced", "                _sync(node)\n", "                pass\n"),
    ),
    *_in(
        "bottle/files/tree.py",
        "files/test_tree",
        ("a folder that may not be written stays", "_open_up(name, descent.folder)", "str(name)"),
    ),
    *_in(
        "bottle/operations/pause.py",
        "operations/test_pause operations/test_commit",
        ("a pause that failed counts", "    if not _is_paused(engine, container):", "    if engine is None:"),
        (
            "a container that is paused still goes on",
            "    if _is_paused(engine, container):\n        raise",
            "    if engine is None:\n        raise",
        ),
        ("an unpause is tried once", "                if delay is None:\n", "                if exc:\n"),
        (
            "the daemon's word is enough that a container is not paused",
            "is not Status.RUNNING or time.monotonic() > deadline",
            "is not None",
        ),
        (
            "a pause of which the daemon hears late is an error",
            "            if delay is None or _status(",
            "            if engine or _status(",
        ),
        (
            "a pause is tried once",
            "            if delay is None or isinstance(exc, CannotPause):",
            "            if exc:",
        ),
    ),
    *_in("migrate/bundle/file.py", "store/test_durability", ("a bundle is named unsynced", "os.fsync(", "int(")),
    # --- what a commit of changes says ---
    *_in(
        "bottle/trees/delta.py",
        "trees/test_delta",
        (
            "what was changed as the index was taken is what it was",
            "        elif was != now or certain_from(now.ctime) >= synced_at or now.inode in linked:\n",
            "        elif was != now or now.inode in linked:\n",
        ),
        ("a new socket is in the place of nothing", "            sockets.append(now.name)\n", "            pass\n"),
        (
            "a socket hides what does not show of the image",
            "    level.sockets = () if level.sealed else tuple(sockets)\n",
            "    level.sockets = tuple(sockets)\n",
        ),
        (
            "a folder in one that shows nothing of the image shows something of it",
            "        sealed=opaque or folder.opaque or (above is not None and above.sealed),\n",
            "        sealed=opaque or folder.opaque,\n",
        ),
    ),
    *_in(
        "bottle/trees/snapshot.py",
        "trees/test_snapshot",
        (
            "the first pieces of a commit say nothing of what sockets hide",
            "        if is_cut:\n",
            "        if not is_cut:\n",
        ),
        (
            "a socket that hides nothing makes a layer",
            "        if next(changes.deltas(), None) is None:\n",
            "        if changes.is_empty:\n",
        ),
    ),
    *_in(
        "bottle/operations/bydelta.py",
        "operations/test_bydelta",
        (
            "a socket is in the place of something wherever it stands",
            "    in_image = partial(paths_in, context, container.image)\n",
            "    in_image = frozenset\n",
        ),
    ),
    *_in(
        "bottle/docker_engine/contents.py",
        "docker_engine/test_engine",
        ("a path of an archive is no UTF-8", "path=os.fsencode(path)", "path=path"),
    ),
    *_in(
        "bottle/diff/written.py",
        "diff/test_written",
        ("a difference leaves out what a socket is in the place of", "(*delta.gone, *delta.sockets)", "delta.gone"),
    ),
    *_in(
        "bottle/operations/work.py",
        "operations/test_work",
        (
            "so does one that an engine is asked for",
            "        gone=frozenset(deleted - found.keys()) | sockets,\n",
            "        gone=frozenset(deleted - found.keys()),\n",
        ),
    ),
    *_in(
        "bottle/trees/reader.py",
        "trees/test_snapshot",
        ("holes that were filled are told", "        self.sparse.discard(facts.st_ino)\n", ""),
        (
            "what is gone lacks something",
            "                if entry.inode in left and (entry.is_folder or stat.S_ISREG(entry.mode)):\n",
            "                if entry.inode in left:\n",
        ),
    ),
    *_in_commits(
        "bottle/trees/delta.py",
        (
            "size and mtime say whether a file has changed, and no ctime",
            "        elif was != now or certain_from(now.ctime) >= synced_at or now.inode in linked:\n",
            "        elif was is None or was._replace(ctime=0) != now._replace(ctime=0) or now.inode in linked:\n",
        ),
        (
            "size and mtime say whether a folder has changed, and no ctime",
            "    elif was != now or certain_from(now.ctime) >= synced_at:\n",
            "    elif was._replace(ctime=0) != now._replace(ctime=0):\n",
        ),
        (
            "a whiteout is forgotten",
            "            if was is None or not was.is_whiteout:\n",
            "            if was is not None and not was.is_whiteout and now.is_socket:\n",
        ),
        (
            "what the bottle's own layers had does not go",
            "        if not was.is_whiteout and not was.is_socket:\n",
            "        if was.is_whiteout and was.is_socket:\n",
        ),
        (
            "a folder made anew shows what the bottle's own layers had in it",
            "    opaque = fresh and (folder.opaque or replaces) and not covered\n",
            "    opaque = fresh and folder.opaque and not covered\n",
        ),
    ),
    *_in_commits(
        "bottle/trees/walk.py",
        ("what the filesystem holds is not written down", "if _libc().syncfs(descriptor) != 0:", "if not descriptor:"),
        (
            "an opaque mark is ignored",
            'return OPAQUE if os.getxattr(descriptor, _OPAQUE) == b"y" else 0',
            'return 0 if os.getxattr(descriptor, _OPAQUE) == b"y" else 0',
        ),
    ),
    *_in_commits(
        "bottle/trees/reader.py",
        (
            "a hard link becomes a copy",
            "        if entry.is_linked and (first := linked.setdefault(entry.inode, name)) != name:\n",
            '        if not name and (first := linked.setdefault(entry.inode, b"")):\n',
        ),
        (
            "an ACL for what is made in a folder is given to what has none",
            "                if DEFAULT_ACL in attributes:\n",
            "                if attributes is None:\n",
        ),
    ),
    *_in_commits(
        "bottle/trees/survey.py",
        (
            "of a file that was moved by a name of its folder the other names are not told",
            "    linked = {inode for inode, names in missing.items() if names}\n",
            "    linked = {inode for inode, names in missing.items() if names and not inode}\n",
        ),
    ),
    *_in_commits(
        "bottle/trees/snapshot.py",
        (
            "what the image has in the place of a socket shows again",
            "        changes = self._settled(self._not_written())\n",
            "        changes = self._not_written()\n",
        ),
        (
            "what was read ahead counts before what was read still",
            "        self._spools.insert(0, self._spools.pop())\n",
            "",
        ),
    ),
    # --- the engine that is meant ---
    *_in(
        "bottle/docker_engine/endpoint.py",
        "docker_engine/test_endpoint",
        (
            "a context beats DOCKER_HOST",
            '    if environment.get("DOCKER_HOST"):',
            '    if environment.get("DOCKER_HOST") and not environment.get("DOCKER_CONTEXT"):',
        ),
        ("nobody is verified", 'verify=not docker.get("SkipTLSVerify")', "verify=False"),
        (
            "a certificate alone asks for TLS",
            '    if not verify and not environment.get("DOCKER_TLS"):',
            "    if False:",
        ),
    ),
    *_in(
        "bottle/docker_engine/ssh.py",
        "docker_engine/test_ssh",
        (
            "ssh outlives its socket",
            "            self._process.terminate()\n            self._process.wait()",
            "            pass",
        ),
        ("a command there is not quoted", "shlex.join((", '" ".join(('),
    ),
    # --- the host that is meant ---
    *_in(
        "bottle/cli/goal.py",
        "cli/test_goal",
        ("a context goes before a Host of ssh_config", "    if text in hosts:", "    if False:"),
        (
            "what is told of a host is a context's name",
            "goal = replace(goal, user=lookup(goal, None, ()).user)",
            "pass",
        ),
    ),
    *_in(
        "bottle/cli/hosts.py",
        "cli/test_goal",
        ("the default context is a host", "if name == DEFAULT_CONTEXT or _OF", "if _OF"),
        ("an address is a context's name", " or _OF_ADDRESSES & set(name):", ":"),
    ),
    *_in(
        "migrate/model.py",
        "migrate/test_model",
        ("any scheme is ssh", 're.compile(r"ssh://(.*?)/?")', 're.compile(r"\\w+://(.*?)/?")'),
        ("a password is repeated", 'r"\\1:…@", text)', 'r"\\g<0>", text)'),
    ),
    # --- one writer ---
    *_in(
        "bottle/store/lock.py",
        "store/test_lock",
        ("the lock is shared", "fcntl.LOCK_EX | fcntl.LOCK_NB", "fcntl.LOCK_SH | fcntl.LOCK_NB"),
        ("a lock in a folder that is gone counts", "if not _is_at(descriptor, path):", "if False:"),
        ("who is not brief is waited for", "if not _is_brief(note) or", "if"),
        ("the lock outlives its holder's block", "fcntl.flock(descriptor, fcntl.LOCK_UN)", "pass"),
    ),
    # --- what died is finished or undone ---
    *_in(
        "bottle/operations/settle.py",
        "operations/test_settle operations/test_commit operations/test_resume",
        ("a finished commit is not adopted", "    if images:\n", "    if not intent and images:\n"),
        (
            "a commit on another base is adopted",
            "if base is not None and not placed and",
            "if base is None and not placed and",
        ),
        ("an adopted commit is not put in force", "    put_in_force(context, state, record)\n", ""),
    ),
    *_in(
        "bottle/operations/settle.py",
        "operations/test_resume",
        (
            "a resume that was cut does not take effect",
            "container.id != intent.container_id:\n        return",
            "container.id != intent.container_id or True:\n        return",
        ),
    ),
    *_in(
        "bottle/operations/commit.py",
        "operations/test_commit",
        ("a commit is not noted before it is made", "    state.intent.write(intent)\n", ""),
        ("a container is not paused", 'if plan.pause else None, "a commit"', 'if not plan else None, "a commit"'),
        ("a commit is not put in force", "    put_in_force(context, state, record)\n", ""),
    ),
    *_in(
        "bottle/operations/inforce.py",
        "operations/test_commit operations/test_settle operations/test_request_decision",
        ("a commit that is in force is not resumed", "    use_image(state, commit.tag)\n", ""),
        ("a commit stands twice in the history", "    if all(each.number", "    if any(each.number"),
        ("a commit leaves what was approved before it due", "        state.clear_rebuild()\n", "        pass\n"),
        ("a commit in force is cleaned up", "    state.mark_preserved()\n", ""),
    ),
    # --- what resume does ---
    *_in(
        "bottle/plan/resume.py",
        "plan/test_resume operations/test_resume",
        ("a moved bottle resumes", '        require_here(identity, facts.tombstone, "resume")\n', "        pass\n"),
        ("a bottle with an unknown owner resumes", "        require_settled(identity, facts.migration)\n", ""),
        (
            "newer work gives way to the commit",
            "if reason is not None and not request.overrides:",
            "if reason is None and not request.overrides:",
        ),
        (
            "newer work goes without consent",
            "container.ever_ran and not request.consent:",
            "not container.ever_ran and not request.consent:",
        ),
        (
            "layers that differ from the history resume",
            "if commit is not None and image.diff_ids != commit.diff_ids:",
            "if commit is None:",
        ),
    ),
    *_in(
        "bottle/plan/history.py",
        "plan/test_resume operations/test_resume",
        ("a running container is committed work", "        and not commit.mark.running\n", ""),
        (
            "a later run of the container is committed work",
            "        and commit.mark.started_at == container.started_at\n",
            "",
        ),
        (
            "volumes without a name go unseen",
            "for mount in container.mounts if mount.anonymous)",
            "for mount in container.mounts if not mount)",
        ),
    ),
    # --- nothing is deleted unasked ---
    *_in(
        "bottle/plan/retention.py",
        "plan/test_resume operations/test_retention",
        ("the newest commit may expire", "standing[-max(1, keep.commits or 1) :]", "standing[len(standing) :]"),
        ("the commit in force may expire", " and commit.tag != in_force and", " and"),
        ("a commit that others need may expire", "kept = newest | set(needed)", "kept = newest"),
        ("young commits expire", "until - commit.created_at > young", "until - commit.created_at < young"),
    ),
    *_in(
        "bottle/operations/remove.py",
        "operations/test_remove",
        (
            "work is removed without consent",
            "            _require_copies(context, state, agreed)\n",
            "            pass\n",
        ),
        (
            "a running bottle is removed",
            "if container is not None and container.status.alive:",
            "if container is None and state is None:",
        ),
        (
            "a bottle with an unknown owner is removed",
            "        require_settled(state.identity, state.migration.read())\n",
            "",
        ),
    ),
    *_in(
        "bottle/plan/garbage.py",
        "operations/test_prune",
        ("prune does without consent", "if consent or not each.consent)", "if each)"),
    ),
    *_in(
        "bottle/plan/prune.py",
        "operations/test_prune",
        (
            "prune takes what is young",
            "return facts.now - moment < facts.patience",
            "return facts.now - moment > facts.patience",
        ),
        ("prune takes commits in a history", "if image.diff_ids in named:", "if image.diff_ids in ():"),
        (
            "prune takes what a move goes on from",
            'if bottle is not None and bottle.moving else ""',
            'if bottle is None else ""',
        ),
        ("prune takes volumes of known bottles", "identity in facts.bottles or not volume.name", "not volume.name"),
    ),
    # --- what keeps an agent from starting ---
    *_in(
        "bottle/plan/preflight.py",
        "plan/test_preflight",
        ("any network is there", "if agent.network not in BUILT_IN_NETWORKS and not", "if not agent.network and not"),
        ("any CPUs are there", "0 < facts.cpus < agent.cpus:", "0 < agent.cpus < facts.cpus < 0:"),
        ("a port that is taken is free", "if holder is not None)", "if holder is None)"),
    ),
    *_in(
        "bottle/portbinding.py",
        "test_portbinding",
        ("a port is open to every network", 'LOOPBACK = "127.0.0.1"', 'LOOPBACK = "0.0.0.0"'),
        ("a port of all addresses clashes with none", "mine == theirs or mine.is_unspecified or", "mine == theirs or"),
    ),
    *_in(
        "bottle/workspace.py",
        "test_workspace",
        (
            "an agent is not whoever owns its work",
            "            return (0, 0) if facts.st_uid == engine_owner else (facts.st_uid, facts.st_gid)\n",
            "            pass\n",
        ),
        (
            "who runs a rootless engine is not root in its containers",
            "return (0, 0) if facts.st_uid == engine_owner else (facts.st_uid",
            "return (0, 0) if facts.st_uid is engine_owner is None else (facts.st_uid",
        ),
    ),
    *_in(
        "bottle/operations/resume.py",
        "operations/test_preflight",
        ("a resume does not look first", "    require_resumable(context, metadata.agent, plan)\n", "    pass\n"),
    ),
    *_in(
        "bottle/plan/resume.py",
        "operations/test_resume",
        (
            "what is started again runs what it was made to run",
            "once=wanted if wanted != made else None",
            "once=None",
        ),
        ("what never ran goes on", "if container.ever_ran else made", "if container.argv else made"),
        ("what runs is told something else", "    if once.command:\n", "    if once.command and False:\n"),
    ),
    *_in(
        "bottle/runtime.py",
        "test_runtime",
        (
            "what was told once is told for good",
            "        path.unlink(missing_ok=True)\n    else:",
            "        pass\n    else:",
        ),
    ),
    *_in(
        "bottle/model/bottle.py",
        "operations/test_start operations/test_resume",
        (
            "the agent is whom its image names",
            "return self.agent.user or self.defaults.user",
            "return self.defaults.user",
        ),
    ),
    # --- tars that nobody vouches for ---
    *_in(
        "bottle/tar/reader.py",
        "tar/test_reader files/test_unpack",
        ("half an end mark is one", "        if self._take(BLOCK) != _ZERO:\n", "        if not self._take(BLOCK):\n"),
        (
            "something follows after the end",
            "            if piece.count(0) != len(piece):\n",
            "            if not piece:\n",
        ),
        (
            "headers have no limit",
            "        if not 0 <= size <= _MAX_EXTENSION - len(self._head):\n",
            "        if size < 0:\n",
        ),
        ("headers have a limit one by one", "_MAX_EXTENSION - len(self._head):", "_MAX_EXTENSION:"),
        ("a negative size makes room", "or size < 0 or", "or"),
    ),
    *_in(
        "bottle/tar/items.py",
        "files/test_unpack",
        ("a path that escapes is unpacked", '".." in path.split("/")', '"..." in path.split("/")'),
        ("an absolute path is unpacked", 'path.startswith("/") or', ""),
    ),
    *_in(
        "bottle/tar/items.py",
        "tar/test_items",
        ("an owner that cannot be", "    if not 0 <= number <= _MAX_ID:\n", "    if number == 0.5:\n"),
        ("a time that cannot be", "    if not sound:\n", "    if sound is None:\n"),
        (
            "the header's name counts beside another",
            "        if self._layer and header.name:",
            "        if header.name:",
        ),
        ("a layer's other name may climb", "        if self._layer and header.name:", "        if not header:"),
    ),
    *_in(
        "bottle/tar/rules.py",
        "files/test_unpack migrate/pull/test_perform migrate/bundle/test_hostile",
        ("a name comes twice", "if path in self._types and", "if path not in self._types and"),
        ("the size has no limit", "or self._size > limits.size:", "or False:"),
        ("the entries have no limit", "max(self._count, len(self._seen)) > limits.entries or", "False or"),
        ("a state holds links", "if item.type is ItemType.SYMLINK and rules.links is Links.NONE:", "if not item.path:"),
    ),
    *_in(
        "bottle/files/unpack.py",
        "files/test_unpack",
        (
            "copies of hard links have no limit",
            "        if self._size > self._rules.limits.size:",
            "        if self._size < 0:",
        ),
        ("a state keeps the rights it had", "return 0o600 if policy.private", "return 0o600 if policy.bare"),
        ("a set-id bit arrives", "item.mode & 0o777\n", "item.mode\n"),
        ("a folder keeps bits that it may not", "item.mode & policy.folder_bits", "item.mode"),
        ("a folder is closed before it is full", "reverse=True)", "reverse=False)"),
    ),
    *_in(
        "bottle/transcript.py",
        "test_transcript",
        (
            "a link leads into what is mounted",
            "if any(is_below(target, each) for each in (*taken, *elsewhere)):",
            "if any(is_below(target, each) for each in taken):",
        ),
        ("an unreadable container has an empty transcript", "        _require_readable(engine, container, exc)\n", ""),
    ),
    # --- text of others ---
    *_in(
        "bottle/text.py",
        "test_text",
        ("control characters are printed", r'    r"[\x00-\x1f\x7f', r'    r"[\x00-\x0f\x7f'),
        (
            "a line feed stays in a line",
            '" ".join(_BLANK.sub(" ", _decoded(text)).split())',
            '_BLANK.sub(" ", _decoded(text))',
        ),
        ("text has no end", "return text if len(text) <= limit else", "return text if text else"),
    ),
    # --- commands over there ---
    *_in(
        "migrate/transport/framing.py",
        "migrate/transport/test_framing",
        ("arguments are not quoted", '" " + shlex.quote(arg)', '" " + arg'),
        ("a zero byte is sent", r'if any("\0" in part', r'if any("\1" in part'),
        ("an answer has no limit", "> self.limit:", "> 1 << 60:"),
        ("what follows an end has no limit", ">= _LONGEST_STATUS:", ">= 1 << 60:"),
        ("noise has no limit", "if self._skipped > NOISE_LIMIT:", "if self._skipped < 0:"),
    ),
    *_in(
        "migrate/transport/ssh/known_hosts.py",
        "migrate/transport/ssh/test_host_key",
        (
            "a changed host key is unknown",
            "            return KeyVerdict.CHANGED\n",
            "            return KeyVerdict.UNKNOWN\n",
        ),
        ("a revoked host key is known", 'if any(e.marker == "@revoked" and', 'if any(e.marker == "@other" and'),
        (
            "a negated pattern counts",
            '            if pattern.startswith("!"):\n',
            '            if pattern.startswith("!!"):\n',
        ),
    ),
    *_in(
        "migrate/transport/ssh/host_key.py",
        "migrate/transport/ssh/test_host_key",
        ("an unknown host key is taken", "                raise self._unknown(shown)\n", "                return\n"),
        ("a changed host key is taken", "                raise self._changed(shown)\n", "                return\n"),
        (
            "revoked_host_keys is not read",
            "if self._revoked is not None and is_revoked(",
            "if self._revoked is None and is_revoked(",
        ),
    ),
    *_in(
        "migrate/transport/ssh/login.py",
        "migrate/transport/ssh/test_login",
        ("named keys of the agent are left out", "if blob in named - first),", "if blob in first - named),"),
        ("what is named by hand is read last", "self._files(by_user, held, locked, ", "self._files((), held, locked, "),
        ("a key file of no use is passed over", "if meant and path.exists():", "if not meant and path.exists():"),
    ),
    *_in(
        "bottle/cli/sigint.py",
        "cli/test_entry",
        (
            "a Ctrl-C that is hidden is lost",
            "for behind in (each.__cause__, each.__context__)",
            "for behind in ()",
        ),
    ),
    # --- what was acknowledged is there ---
    *_in(
        "migrate/host/upload.py",
        "migrate/host/test_upload",
        ("a staged piece counts by its size", " or found[0] != piece.sha256()", ""),
        (
            "what arrived is not checked",
            "            if self._are_whole([each for each in came if each.digest not in proven]):\n",
            "            if came is not None:\n",
        ),
    ),
    *_in(
        "migrate/move/passing.py",
        "migrate/move/test_delivery migrate/move/test_move",
        (
            "what may not leave leaves",
            "            if not self._refused(passage.scan.finds()):\n",
            "            if held:\n",
        ),
        ("what was held back stays here", "        yield from held\n\n", "        held.clear()\n\n"),
    ),
    *_in(
        "migrate/move/live.py",
        "migrate/move/test_live",
        (
            "an agent whose last round failed stays stopped",
            "                self._bring_back(exc)\n",
            "                pass\n",
        ),
        (
            "the rounds bring no work in the workspace",
            "            update = folder.update()\n",
            "            update = None\n",
        ),
        (
            "how long it may stand still is not asked",
            "        if options.max_downtime is not None:\n",
            "        if options.max_downtime is None:\n",
        ),
        ("the time that it runs there counts as downtime", " - (resumed.running or 0.0)", ""),
        ("one that did not run is started there", "        if runs:\n", "        if not runs or runs:\n"),
        (
            "one that had ended is started again where the last round fails",
            "            if self.stopped_at is not None:\n",
            "            if self.rounds:\n",
        ),
        ("what went along in a round is not told", "        self._along |= dict.fromkeys(brought.along)\n", ""),
    ),
    *_in(
        "migrate/move/volumes.py",
        "migrate/move/test_volumes",
        ("a tar that loses something is sent", "        if update.tarball.lost:\n", "        if not update:\n"),
        ("a fifo in a volume is left behind", "entry.kind not in _KINDS for", "entry.kind in () for"),
        ("a volume that could not be brought up to date stays so", "        del self._followed[name]\n", ""),
        ("a broken line is a reason to give a volume up", "isinstance(exc, ConnectionLost) or (", "("),
        (
            "what is in the way of a volume shows at the end",
            "(step.fills and isinstance(exc, RemoteError))",
            "not step",
        ),
    ),
    *_in(
        "migrate/move/live.py",
        "migrate/move/test_volumes",
        (
            "what could not be brought up to date at last is not sent",
            "            packed = self._send_whole(packed, commit, missed)\n",
            "            pass\n",
        ),
    ),
    *_in(
        "migrate/move/estimate.py",
        "migrate/move/test_estimate",
        ("what is there already is sent again", "max(wire - work.staged, 0.0)", "max(wire, 0.0)"),
        ("a live move stands still as any other", "    if work.live:\n", "    if work.live and not work.stops:\n"),
        ("a copy stands still all the while", "moving if work.stops else", "moving if work.running else"),
        ("nothing is known of how it is compressed", "* sample.ratio +", "* _COMPRESSED +"),
    ),
    *_in(
        "migrate/move/execute.py",
        "migrate/move/test_estimate",
        (
            "a line that breaks while it is measured ends a plan",
            '    except RemoteError as exc:\n        progress.note(f"how long',
            '    except ZeroDivisionError as exc:\n        progress.note(f"how long',
        ),
    ),
    *_in(
        "migrate/host/link_speed.py",
        "migrate/host/test_link_speed",
        ("a look keeps a slow line busy", "            break\n", "            pass\n"),
    ),
    *_in(
        "migrate/move/facts.py",
        "migrate/move/test_move",
        ("what an image is built on is counted where it is there", "    yield from there.chains\n", ""),
    ),
    *_in(
        "migrate/move/rounds.py",
        "migrate/move/test_live",
        ("rounds that bring nothing go on", " or rounds[-1].staged < _SMALL", ""),
        ("rounds that no longer shrink go on", "rounds[-1].seconds > _SHRINKS", "rounds[-1].seconds > 1e9 + _SHRINKS"),
        ("volumes take no time", " + whole / speed", ""),
    ),
    *_in(
        "migrate/move/execute.py",
        "migrate/move/test_live",
        (
            "one that was killed when it was stopped is not started",
            "options.resume or was_stopped or",
            "options.resume or",
        ),
    ),
    *_in(
        "migrate/move/loading.py",
        "migrate/move/test_delivery",
        ("nothing is loaded early", "and self._is_wanted and", "and not self._is_wanted and"),
        (
            "what failed early counts as loaded",
            "        there.load(order)",
            "        self._have.update(blobs)\n        there.load(order)",
        ),
    ),
    *_in(
        "migrate/move/image.py",
        "migrate/move/test_delivery migrate/move/test_move",
        (
            "layers that are gone again are not sent",
            "or not delivery.counted_on.diff_ids:",
            "or delivery.counted_on.diff_ids:",
        ),
    ),
    *_in(
        "migrate/move/background.py",
        "migrate/move/test_delivery",
        ("an error in the background is an end", "    if item.error is not None:\n", "    if item.error is None:\n"),
        ("nobody is told to stop", "        stop.set()\n", "        stop.clear()\n"),
    ),
    *_in(
        "migrate/image/reading.py",
        "migrate/move/test_delivery",
        ("layers leave as they come", "order[0] in came:", "layer.diff_id in came:"),
    ),
    *_in(
        "bottle/tar/header.py",
        "tar/test_header",
        ("a header's checksum is not looked at", "int(said[1], 8) != sum(block) - sum(checksum) + _BLANKS", "False"),
        ("a prefix is dropped", " or prefix[0] or", " or"),
        ("a folder's slash stays", 'path.rstrip("/") if kind == tarfile.DIRTYPE else path', "path"),
    ),
    *_in(
        "migrate/transport/steady.py",
        "migrate/host/test_upload migrate/transport/test_steady",
        (
            "a broken line is not tried again",
            "            except ConnectionLost as exc:\n                if self._stop.is_set():",
            "            except ConnectionLost as exc:\n                if exc:",
        ),
        ("who was stopped sends on", "if self._stop.wait(self.delay(len(chunk))):", "if self.delay(len(chunk)) > 1e9:"),
    ),
    *_in(
        "migrate/host/scripts/piece.sh",
        "migrate/host/test_upload",
        ("a piece has its name whatever it holds", ' || fail "$NOT_AS_SENT" "piece $3 was changed on its way"', ""),
        ("a piece that came short counts", '[ "$(size_of "$temporary")" = "$5" ] ||', "true ||"),
    ),
    *_in(
        "migrate/host/scripts/check.sh",
        "migrate/host/test_upload",
        (
            "pieces make up another blob there",
            '	[ "$(cat "$blob"/[0-9]* 2>/dev/null | hash_file /dev/stdin)" = "$blob" ] && continue\n',
            "	continue\n",
        ),
        ("pieces of another making stay there", '	[ -n "$found" ] || gone "$blob"\n', ""),
    ),
    *_in(
        "migrate/admission/arrived_state.py",
        "migrate/admission/test_arrived_state",
        ("pieces make up another blob here", "    if digest.hexdigest() != blob:\n", "    if not blob:\n"),
    ),
    *_in(
        "migrate/admission/arrived_state.py",
        "migrate/pull/test_perform",
        (
            "a history of another bottle arrives",
            "if commit is None or commit.tag != identity.committed(commit.number):",
            "if commit is None:",
        ),
        ("what belongs to one host arrives", "        if os.path.lexists(folder / name):\n", "        if not name:\n"),
    ),
    *_in(
        "migrate/contents/archive.py",
        "migrate/contents/test_archive",
        (
            "a torn tar of a volume counts",
            "            for member in stream.members():\n",
            "            for member in (next(stream.members()),):\n",
        ),
    ),
    *_in(
        "migrate/contents/repository.py",
        "migrate/contents/test_worktrees",
        ("what is left of a cherry-pick stays", 'name + b"^{commit}" for name in _LEFT.findall(content)', "()"),
    ),
    *_in(
        "migrate/host/scripts/staged.sh",
        "migrate/host/test_upload",
        ("what nobody wants stays staged", '\t*) rm -rf "./$blob" ;;\n', ""),
    ),
    # --- hand-over ---
    *_in(
        "migrate/host/destination.py",
        "migrate/host/test_destination migrate/move/test_move",
        (
            "an image that differs is believed",
            "if diff_ids != commit.diff_ids or config_digest != commit.config_digest or other:",
            "if not diff_ids:",
        ),
        (
            "diff ids are a set",
            "if diff_ids != commit.diff_ids or",
            "if set(diff_ids) != set(commit.diff_ids) or",
        ),
    ),
    *_in(
        "migrate/move/handoff.py",
        "migrate/host/test_destination migrate/move/test_move",
        ("a move leaves no tombstone", "    state.tombstone.write(\n", "    str(\n"),
    ),
    *_in(
        "migrate/host/ownership.py",
        "migrate/host/test_destination migrate/move/test_move",
        (
            "withdrawn counts as arrived",
            "            return False\n        case _:",
            "            return True\n        case _:",
        ),
    ),
    *_in(
        "migrate/move/handoff.py",
        "migrate/move/test_move",
        (
            "handing off is not noted",
            "if keep else MigrationPhase.HANDING_OFF, commit.number",
            "if transfer else MigrationPhase.HANDING_OFF, commit.number",
        ),
        (
            "a bottle that was started meanwhile is let go",
            "        _require_rested(transfer, commit)\n",
            "        pass\n",
        ),
    ),
    *_in(
        "migrate/move/image.py",
        "migrate/move/test_move migrate/move/test_delivery",
        (
            "the image is loaded and not verified",
            "        there.load(order)\n        there.verify_image(commit, tag)\n",
            "        there.load(order)\n",
        ),
        (
            "an image that is there is not verified",
            "        there.tag(image.id, tag)\n        there.verify_image(commit, tag)\n",
            "        there.tag(image.id, tag)\n",
        ),
        ("the far host keeps what failed its proof", "            there.unload(tag)\n", "            pass\n"),
    ),
    *_in(
        "migrate/host/scripts/register.sh",
        "migrate/host/test_destination migrate/host/test_places store/test_durability",
        ("a bottle that is there is replaced", '[ ! -e "$state/moved-to.json" ]; then', '[ ! -e "$state" ]; then'),
        ("a workspace that is there is replaced", 'rmdir "$1" 2>/dev/null ||', 'rm -rf "$1" ||'),
        (
            "what somebody did in a placed one goes",
            'if placed_by_us "$1" && untouched "$1"; then',
            'if placed_by_us "$1"; then',
        ),
        ("a move arrives twice", 'grep -qsxF "$2" "$state/arrived" "$arrived" && is_here\n', ""),
        ("the last name is not flushed", 'flush "$state"\nis_here', "is_here"),
    ),
    *_in(
        "migrate/host/scripts/withdraw.sh",
        "migrate/host/test_destination migrate/host/test_places",
        ("what is withdrawn may still arrive", 'mv "$incoming/state-$2" "$incoming/withdrawn-$2" 2>/dev/null\n', ""),
        ("what somebody did in a placed workspace goes", '&& untouched "$landing"; then', "; then"),
    ),
    # --- the workspace that was left behind gives way ---
    *_in(
        "migrate/host/scripts/register.sh",
        "migrate/host/test_way_back",
        (
            "what was written while it was moved aside goes",
            'as_left "$was/workspace-left" "$left" "$1" && return #',
            "return #",
        ),
    ),
    *_in(
        "migrate/host/scripts/withdraw.sh",
        "migrate/host/test_way_back migrate/host/test_destination",
        (
            "what gave way to what does not come is not put back",
            '[ ! -d "$left" ] || put "$left" "$landing" ||',
            '[ ! -d "$left" ] ||',
        ),
        (
            "the state that gave way is not put back",
            '[ ! -d "$incoming/replaced" ] || put "$incoming/replaced" "$state"\n',
            "",
        ),
    ),
    *_in(
        "migrate/host/scripts/register.sh",
        "migrate/host/test_copies",
        (
            "a copy that is started at the last moment goes",
            'stands_by "$state" || as_it_came "$state" || fail',
            "true || fail",
        ),
        ("a copy that somebody works on goes", "flock -n 8 ||", "true ||"),
        ("a standby that is being taken over goes", '! stands_by "$state" || copy=yes\n', ""),
        (
            "the copy stays aside where its workspace does not give way",
            '[ "$was" = "$state" ] || put "$was" "$state"\n',
            ":\n",
        ),
        ("what a copy was is not noted", '[ ! -e "state-$2/copy" ] || note_copy "state-$2" "$3"\n', ""),
    ),
    *_in(
        "bottle/operations/takeover.py",
        "migrate/move/test_standby",
        ("a takeover raises no generation", "above(metadata.generation)", "metadata.generation"),
        ("what is newer here is not kept", "if newer or not unchanged:", "if newer:"),
        ("what no commit has is not kept", "if not frozen:", "if False:"),
    ),
    *_in(
        "migrate/move/standby.py",
        "migrate/move/test_standby",
        (
            "a former owner goes on",
            "if there.generation <= metadata.generation and not is_owned:",
            "if True:",
        ),
        (
            "what cannot be told counts as no work",
            "    except OSError:\n        return False",
            "    except OSError:\n        return True",
        ),
    ),
    *_in(
        "migrate/host/scripts/places.sh",
        "migrate/host/test_copies",
        ("a look for credentials counts as work", " -o -path ./scanned.json", ""),
        ("folders are no work", " -o ! -name . -print", ""),
    ),
    *_in(
        "migrate/host/scripts/places.sh",
        "migrate/host/test_way_back",
        (
            "what is written to the last goes",
            'if as_left "$bottle_home/incoming/$1/replaced/workspace-left" "$left" "$came_to" &&',
            "if true &&",
        ),
        ("what a program has open goes", '"$came_to" && ! is_open "$left"; then', '"$came_to"; then'),
        ("the last change of an inode does not count", "%T@ %C@ %P\\0' -o -printf", "%T@ 0 %P\\0' -o -printf"),
    ),
    *_in(
        "migrate/move/handoff.py",
        "migrate/move/test_left",
        (
            "a worktree may give way to a repository",
            "if live is None or account.carried or own",
            "if live is None or own",
        ),
    ),
    *_in(
        "migrate/contents/left.py",
        "migrate/move/test_left",
        (
            "a folder with another filesystem in it may give way",
            "or len({entry.device for entry in index.entries.values()}) > 1:",
            "or not index:",
        ),
    ),
    *_in(
        "migrate/host/scripts/seed.sh",
        "migrate/host/test_seed",
        (
            "a workspace begins with what somebody works in",
            'as_left "$bottle_home/state/$1/workspace-left" "$3" "$3" ||',
            "true ||",
        ),
        ("contents that differ do not count", "find . -type f -exec sha256sum -z {} +", ":"),
    ),
    *_in(
        "migrate/contents/basis.py",
        "migrate/host/test_seed",
        ("a name that no line can tell is guessed", '    if b"\\1" in reply:\n        return None\n', ""),
        ("where a link leads does not count", "goal = os.fsencode(node.target())", 'goal = b""'),
        (
            "which names are of one file does not count",
            "    differing = set(linked)\n",
            "    differing: set[str] = set()\n",
        ),
    ),
    *_in(
        "migrate/contents/index.py",
        "migrate/host/test_seed",
        (
            "what has become of another kind stays in the way",
            " or now[path].kind != kind}\n    lacking = now.keys()",
            "}\n    lacking = now.keys()",
        ),
        (
            "the time of a folder around is not put back",
            "    changed = lacking | _other_names(lacking, now) | around\n    return",
            "    changed = lacking | _other_names(lacking, now)\n    return",
        ),
    ),
    *_in(
        "migrate/contents/live_folder.py",
        "migrate/host/test_seed",
        ("what was not packed is not known to be there", "{**kept, **self.tarball.members}", "self.tarball.members"),
    ),
    *_in(
        "migrate/pull/folders.py",
        "migrate/pull/test_perform",
        (
            "a far host has any folder copied",
            "        if script.workspace != self._site.terms.left:\n",
            "        if False:\n",
        ),
    ),
    *_in(
        "migrate/pull/perform.py",
        "migrate/pull/test_perform",
        ("the names of a user's files are told", "if not line.startswith((_DIFFERS, ", "if not line.startswith(("),
        ("what a name holds counts as a line", 'lines = reply.out.split(b"\\n")', "lines = reply.out.splitlines()"),
    ),
    *_in(
        "migrate/host/scripts/seed.sh",
        "migrate/host/test_seed",
        (
            "a name that is there only, and no line can tell, is guessed",
            '(cd "./workspace-$2" && tellable) ||',
            "true ||",
        ),
    ),
    *_in(
        "migrate/host/destination.py",
        "migrate/host/test_seed",
        ("what was there is believed", "tarball.sums + update.kept_sums)", "tarball.sums)"),
    ),
    # --- bundles ---
    *_in(
        "migrate/bundle/file.py",
        "migrate/bundle/test_hostile migrate/bundle/test_bundle",
        ("a changed member is taken", "        if meter.digest != member.digest:\n", "        if not meter:\n"),
        (
            "a member unpacks to more",
            "                if meter.size > member.plain_size:\n",
            "                if not meter:\n",
        ),
        ("the seal is not looked at", "        if self._at(offset, len(seal)) != seal:\n", "        if not seal:\n"),
        ("a file that exists is overwritten", "    if os.path.lexists(target):\n", "    if not target:\n"),
    ),
    *_in(
        "migrate/bundle/imports.py",
        "migrate/bundle/test_bundle",
        (
            "an import's image is not verified",
            "if image is None or (image.diff_ids, image.config_digest) !=",
            "if image is None and (image, image) !=",
        ),
        ("an import's volume is not verified", "        if there != sent.value:\n", "        if not sent:\n"),
        ("a failed import leaves its halves", '"bottle import", self._undo)', '"bottle import", lambda _: None)'),
    ),
    # --- what comes from elsewhere ---
    *_in(
        "bottle/agent/admission.py",
        "agent/test_manifest migrate/pull/test_perform migrate/bundle/test_hostile",
        ("a volume covers bottle's folder", '        and not value.startswith(RESERVED + "/")\n', ""),
        ("no limit of processes is one", "_is_whole(1, _MOST_PIDS)", "_is_whole(-1, _MOST_PIDS)"),
        ("all capabilities are one", "value in _LINUX_CAPABILITIES", 'value in {*_LINUX_CAPABILITIES, "ALL"}'),
        ("the host's network is one", '_matches(_NAME, "host", "container")', "_matches(_NAME)"),
        ("an image is an option", '_IMAGE = re.compile(r"[A-Za-z0-9][', '_IMAGE = re.compile(r"[-A-Za-z0-9]['),
    ),
    *_in(
        "bottle/agent/admission.py",
        "agent/test_admission",
        ("a folder is named in a roundabout way", "posixpath.normpath(value) == value and", "value and"),
        ("what cannot be shown is asked for", "if printable(each, LONGEST_DEMAND) != each:", "if not each:"),
        ("any number of things is asked for", "if len(asked) > _MOST_DEMANDS:", "if not asked:"),
    ),
    *_in(
        "migrate/admission/grant.py",
        "migrate/pull/test_perform migrate/bundle/test_hostile migrate/bundle/test_bundle cli/test_bundle_commands",
        (
            "nobody is asked",
            "if self.demands and not agree(self.demands):",
            "if not self.demands and not agree(self.demands):",
        ),
        (
            "a far host says of which container a commit was made",
            "mark=marks.get(_content(commit))",
            "mark=commit.mark",
        ),
        ("a history names other images", "tag=identity.committed(commit.number), mark", "mark"),
    ),
    *_in(
        "migrate/bundle/inspection.py",
        "migrate/bundle/test_hostile migrate/bundle/test_bundle",
        (
            "a bundle's state is another bottle's",
            "    if metadata.identity != manifest.identity:\n",
            "    if not metadata:\n",
        ),
    ),
    *_in(
        "migrate/pull/perform.py",
        "migrate/pull/test_perform migrate/pull/test_session",
        (
            "a bottle that lives here is replaced by a pull",
            "if script.effect is Effect.CHANGES and not again and self.is_here():",
            "if script.effect is Effect.CHANGES and not again and not script:",
        ),
        ("a bottle that was here has arrived", "if not self._brought or not self.is_here():", "if not self.is_here():"),
        (
            "a file is hashed that was not sent",
            "                self._folders.require_sent(script, stdin)\n",
            "                pass\n",
        ),
        (
            "a bottle is registered unseen",
            "                prepare(self._site, self._folders, script)\n",
            "                pass\n",
        ),
    ),
    *_in(
        "migrate/pull/images.py",
        "migrate/pull/test_perform migrate/pull/test_session",
        ("any image here gets a tag", "if not self._disclosure.is_told(script.image):", "if not script.image:"),
        ("a tag is taken from an image", "elif tag not in self._given and there", "elif tag in self._given and there"),
        ("an image that was here is taken away", "if script.tag not in self._given:", "if not script.tag:"),
    ),
    *_in(
        "migrate/host/script.py",
        "migrate/host/test_commands",
        ("docker is reached without its rights", '"yes" if access.sudo else "no"', '"no"'),
        ("an argument may be spelt in two ways", "    if str(value) != text:\n", "    if not text:\n"),
        (
            "half characters reach a shell",
            '        text.encode("utf-8", "surrogateescape")',
            '        text.encode("utf-8", "surrogatepass")',
        ),
    ),
    *_in(
        "migrate/pull/images.py",
        "migrate/pull/test_disclosure",
        (
            "all layers of an image are told",
            "takewhile(self._named.__contains__, chain)",
            "takewhile(lambda _: True, chain)",
        ),
        ("an id is told of an image that is half known", "image if known == chain else _made_up(known)", "image"),
        ("blobs are told that were not named", " if diff_id in self._named}", "}"),
        (
            "an image here may be asked about by its id",
            "[self._images[image] for image in images if image in self._images]",
            "[self._images.get(image, image) for image in images]",
        ),
    ),
    *_in(
        "migrate/pull/messages.py",
        "migrate/pull/test_messages",
        (
            "a far host's advice is ours",
            "if following and not _ADVICE.fullmatch(said[2]):",
            "if following and not _ADVICE.search(said[2]):",
        ),
    ),
    *_in(
        "migrate/pull/policy.py",
        "migrate/pull/test_policy",
        (
            "a plan may change something",
            "if self.terms.looking and kind.effect is not Effect.LOOKS:",
            "if self.terms.looking and kind.effect is Effect.LOOKS:",
        ),
        ("another bottle is spoken of", "        if identity != self.arrives_as:\n", "        if not identity:\n"),
        (
            "a tag of another bottle",
            '_require(rf"{re.escape(self.identity.committed_repository)}:[0-9]{{1,9}}", value)',
            "pass",
        ),
        ("the workspace lands anywhere", "if not allowed or len(self.workspaces) >=", "if len(self.workspaces) >="),
        (
            "a volume of another bottle",
            """_require(rf"{re.escape(self.identity.volume(''))}[A-Za-z0-9_.-]{{1,128}}", value)""",
            "pass",
        ),
    ),
    *_in(
        "migrate/admission/image_archive.py",
        "migrate/pull/test_perform",
        ("foreign RepoTags are accepted", "    if ours is None:\n", "    if not tag:\n"),
        ("a layer is not what its name says", '    if packed.digest != f"sha256:{digest}":\n', "    if not digest:\n"),
        (
            "a document is not what its name says",
            "    if hashlib.sha256(content).hexdigest() != digest:\n",
            "    if not digest:\n",
        ),
        ("documents have no limit together", "blob[1], min(_DOCUMENT, left))", "blob[1], _DOCUMENT)"),
        ("a name comes twice in an archive", "if name in seen or member.link:", "if member.link:"),
        ("layers of no image are loaded", "if strange := blobs.keys() - set(diff_ids):", "if strange := set():"),
        ("the config reaches the engine as it came", "    made = composed(config)\n", "    made = config\n"),
    ),
    *_in(
        "migrate/admission/image_config.py",
        "migrate/pull/test_perform",
        ("a key twice in a config", "    if len(found) != len(pairs):\n", "    if not pairs and found:\n"),
        ("a key in another case", "if known.get(key.casefold(), key) != key:", "if not isinstance(key, str):"),
    ),
    # --- credentials ---
    *_in(
        "migrate/secrets/scan.py",
        "migrate/secrets/test_scan",
        ("a package explains what it does not own", "if packages.own(each.path, each.digests)}", "if each.digests}"),
        ("a deleted file takes no find with it", "replace(each, gone=True)", "replace(each, gone=False)"),
        ("a known key explains its neighbours", "if one.fingerprint not in explained]", "if not explained]"),
    ),
    *_in(
        "migrate/secrets/scan.py",
        "migrate/secrets/test_search",
        (
            "what others explain is kept",
            "if not all(here[each.path].named for",
            "if not all(True for",
        ),
        ("a kept layer hides nothing by its names", " or by_name(path) is not None", ""),
    ),
    *_in(
        "migrate/secrets/kept.py",
        "migrate/secrets/test_search",
        ("whatever the secrets are", "and found.values == self._values else None", "else None"),
        ("whatever was looked for", " or kept.patterns != PATTERNS", ""),
    ),
    *_in(
        "migrate/secrets/patterns.py",
        "migrate/secrets/test_patterns",
        ("npm tokens are not known", '("an npm token", b"npm"', '("an npm token", b"npn"'),
        ("a token is looked for from its middle on", "match.start() - forms.before[number]", "match.start()"),
        ("netrc is not known", r'r"/[._]netrc"', r'r"/[_]netrc"'),
    ),
    *_in(
        "migrate/secrets/private_key.py",
        "migrate/secrets/test_patterns",
        (
            "a mark is repeated by chance",
            "if repeated.search(text, 0, len(last) + _NEAR) else text",
            "if mark else text",
        ),
    ),
    # --- what is said of a difference ---
    *_in(
        "bottle/diff/stack.py",
        "diff/test_stack",
        ("what was deleted still shows", "cut = layer.gone | layer.leaves", "cut = layer.leaves"),
        ("an opaque folder hides nothing", "(cut | layer.opaque).__contains__", "cut.__contains__"),
        (
            "too little of the ground is looked at",
            "return path in self or path in self._ways",
            "return path in self.paths",
        ),
        ("a content that was not read is the same", "and before.digest is not None and", "and"),
        ("a mode is no difference", "(each.kind, each.mode, each.uid,", "(each.kind, each.uid,"),
    ),
    *_in(
        "bottle/diff/reading.py",
        "diff/test_reading",
        ("a hard link is empty", "thing = files.get(clean(member.link))", "thing = None"),
    ),
    *_in(
        "bottle/operations/asking.py",
        "operations/test_asking",
        ("a link on the way is followed", "above.kind is Kind.FOLDER and folder", "folder"),
        ("questions have no end", "            self._left -= 1\n", ""),
    ),
    *_in(
        "bottle/operations/diff.py",
        "cli/test_diff",
        ("what is mounted is told", "(*bottle.mounted, *unanswered)", "unanswered"),
        ("what nobody knows is told", "(*bottle.mounted, *unanswered)", "bottle.mounted"),
    ),
    # --- what the dashboard deletes, keeps in memory and says of a move ---
    *_in(
        "bottle/dashboard/desk.py",
        "dashboard/test_acting",
        ("work that is nowhere else goes unasked", "consent=False, agreed=agreed)", "consent=True, agreed=agreed)"),
    ),
    *_in(
        "bottle/dashboard/working.py",
        "dashboard/test_acting",
        ("the only copy goes for any key", '(answer or "").strip().lower() == _CONSENT', "answer is not None"),
        (
            "a yes to one thing is a yes to another",
            "and refusal is not None and refusal.doing == doing:",
            "and refusal is not None:",
        ),
    ),
    *_in(
        "bottle/dashboard/details.py",
        "dashboard/test_acting",
        ("details that come too late are shown", "        self.workers.cancel_node(self)  # what", "        # what"),
    ),
    *_in(
        "bottle/dashboard/moving.py",
        "dashboard/test_moving",
        ("a move that failed does not say who owns the bottle", "exc.left = exc.left or self._owner()", "pass"),
        ("a move that has ended seems to go on", "        self.ended = True\n", ""),
    ),
    *_in(
        "bottle/dashboard/lines.py",
        "dashboard/test_following",
        ("an agent that writes much fills the memory", "deque(maxlen=KEPT)", "deque()"),
        ("a line that never ends fills the memory", "if len(self._begun) > _UNENDED:", "if not self._begun:"),
        ("what an agent writes acts on the terminal", "return laid_out(", "return (lambda text, _: text)("),
    ),
    # --- older commits go along, the very same ones ---
    *_in(
        "bottle/plan/history.py",
        "migrate/move/test_plan",
        (
            "a commit goes along of which layers are missing there",
            "each.diff_ids == diff_ids[: len(each.diff_ids)]",
            "each.diff_ids[:1] == diff_ids[:1]",
        ),
    ),
    *_in(
        "migrate/move/plan.py",
        "migrate/move/test_plan",
        (
            "older images go along unasked",
            "standing_below(older, chain) if facts.history else ()",
            "standing_below(older, chain)",
        ),
        (
            "an image that is not here goes along",
            "if each != newest and each.number in facts.imaged]",
            "if each != newest]",
        ),
    ),
    *_in(
        "migrate/move/facts.py",
        "migrate/move/test_history",
        (
            "whoever pulls is given older images",
            "history=options.history and options.pulled_by is None,",
            "history=options.history,",
        ),
        (
            "an image counts as a commit's by its name",
            "if image is not None and is_image_of(image, each))",
            "if image is not None)",
        ),
    ),
    *_in(
        "migrate/move/history.py",
        "migrate/move/test_history",
        (
            "an older image is not proved there",
            "                    there.verify_image(each.commit, self._tag(each), config=each.config)\n",
            "                    pass\n",
        ),
        ("an older image may have another config there", "self._tag(each), config=each.config)", "self._tag(each))"),
        ("an older image that failed its proof stays there", "                self._forget(older)\n", ""),
        (
            "credentials leave in the config of an older image",
            "if not self._transfer.allowed.admits(find)]",
            "if False]",
        ),
        ("an image that was renamed meanwhile goes along", "if not is_image_of(reading.image, commit):", "if False:"),
        (
            "layers of a containerd store are guessed",
            "if self._there.host.store is Store.CONTAINERD and",
            "if False and",
        ),
        ("what stays of the history is not told", "sorted(self._here - self._arrived - {newest.number})", "()"),
    ),
    *_in(
        "migrate/move/live.py",
        "migrate/move/test_history",
        ("a live move leaves the history", "            self._history.bring(commit, self._brought)\n", ""),
    ),
    *_in(
        "migrate/move/handoff.py",
        "migrate/move/test_history",
        ("what arrived of the history counts as only here", "{*history, commit} if commit", "{commit} if commit"),
    ),
    *_in(
        "migrate/contents/packing.py",
        "migrate/move/test_history",
        (
            "a copy's history names another bottle's images",
            "if each.number in imaged else each",
            "if each.number == commit.number else each",
        ),
    ),
    *_in(
        "migrate/host/destination.py",
        "migrate/host/test_destination",
        ("a config that is only alike counts as the same", 'document["Id"] != digest_of(config)', "False"),
    ),
    *_in(
        "migrate/pull/messages.py",
        "migrate/pull/test_messages",
        ("a far host says what came of the history", 'omitted=("history", "refreshed"), unfolded', "unfolded"),
    ),
)
