"""What `init` writes: for a shell, and for the agents that people run, an entry of bottle.toml and a Dockerfile."""

from importlib.resources import files

PLAIN = "shell"
SUMMARIES = {
    PLAIN: "a shell in Debian, with every key of bottle.toml explained",
    "claude": "Claude Code, of Anthropic",
    "codex": "Codex, of OpenAI",
    "gemini": "Gemini CLI, of Google",
    "opencode": "opencode, of Anomaly, for models of many providers",
}


def entry_of(template: str) -> str:
    """The text of a template's entry: valid as it is, and of the plain one also with what is commented out."""
    return _read(f"{template}.toml")


def dockerfile_of(template: str) -> str | None:
    """The text of a template's Dockerfile, None where it needs none."""
    return _read(f"{template}.Dockerfile") if template != PLAIN else None


def _read(name: str) -> str:
    return files("bottle.agent").joinpath("templates", name).read_text(encoding="utf-8")
