"""The extended attributes of a file that are its own, ACLs and the file capability among them."""

import errno
import os
import stat
import struct
from collections.abc import Mapping

from bottle.errors import TreeUnfit

ACL, DEFAULT_ACL = b"system.posix_acl_access", b"system.posix_acl_default"
NONE: Mapping[bytes, bytes] = {}

_OVERLAY = "trusted.overlay."  # user.overlay. are anybody's, where overlay is mounted by root
_ELSEWHERE = ("redirect", "metacopy")  # the content is not here, but below (Linux, overlayfs.rst)
_CAPABILITY = "security.capability"
_SECURITY = "security."  # labels of a host's own policies, but for the capability
_HAS_NONE = {errno.ENOTSUP, errno.ENODATA}
_VERSION = struct.pack("<I", 2)  # of ACLs as attributes (Linux, include/uapi/linux/posix_acl_xattr.h)
_ENTRY = struct.Struct("<HHi")  # tag, permissions, id
_OWNER, _GROUP, _OTHER, _NOBODY = 0x01, 0x04, 0x20, -1


def attributes_of(file: int | bytes) -> Mapping[bytes, bytes]:
    """The attributes of a file, by its descriptor, or by a path of which the last name is not followed.

    Raises TreeUnfit where overlay keeps the content somewhere else, or OSError.
    """
    follow = isinstance(file, int)
    try:
        names = os.listxattr(file, follow_symlinks=follow)
    except OSError as exc:
        if exc.errno in _HAS_NONE:
            return NONE
        raise
    if not names:
        return NONE
    found = {}
    for name in names:
        if name.startswith(_OVERLAY):
            if name.rpartition(".")[2] in _ELSEWHERE:
                raise TreeUnfit(f"overlay keeps parts of the container's files elsewhere ({name})")
        elif name == _CAPABILITY or not name.startswith(_SECURITY):
            found[os.fsencode(name)] = os.getxattr(file, name, follow_symlinks=follow)
    return found


def own_acls(attributes: Mapping[bytes, bytes], mode: int) -> Mapping[bytes, bytes]:
    """The same, and what takes away the ACLs that something is given by the folder it is made in, if it has none.

    An ACL that says no more than the mode is kept as the mode, and one without entries as none (Linux, fs/posix_acl.c).
    """
    said = {_OWNER: mode >> 6, _GROUP: mode >> 3, _OTHER: mode}
    plain = b"".join((_VERSION, *(_ENTRY.pack(tag, bits & 7, _NOBODY) for tag, bits in said.items())))
    nothing = {DEFAULT_ACL: _VERSION} if stat.S_ISDIR(mode) else {}
    return {ACL: plain, **nothing, **attributes}
