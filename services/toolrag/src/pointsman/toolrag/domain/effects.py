"""Whether a request asks for a change, read from its wording.

Owns only that guess. It keeps tools that write out of requests that read; it permits nothing: the
executor decides what may run.
"""

import re

_TOKEN = re.compile(r"[a-z0-9']+|[.!?;:,\n]")
_VERBS = """
accept activate add apply archive assign associate attach block cancel change configure confirm
create deactivate delete deny deploy deregister detach disable disassociate edit enable execute
forget generate grant import install invite migrate modify move patch provision put register
reject remediate remove rename replace reset restart restore revoke rotate scale schedule send set
start stop tag terminate turn unarchive untag update upgrade upload
"""
_LEADS = "please to and then you i we let's lets also now just or must should kindly"
WRITE_VERBS = frozenset(_VERBS.split())
BEFORE_IMPERATIVE = frozenset(_LEADS.split()) | frozenset(".!?;:,\n")


def wants_change(text: str) -> bool:
    """Return whether ``text`` tells to do something that writes.

    "Delete the role" and "list the keys and rotate them" do; "who deleted the role" does not.
    An infinitive or imperative is looked for at the start of a clause, so a noun ("a set of
    users") or a past tense does not count.
    """
    before = "."
    for token in _TOKEN.findall(text.lower()):
        if token in WRITE_VERBS and before in BEFORE_IMPERATIVE:
            return True
        before = token
    return False
