"""Which roots are believed in, and for how long others are a fallback."""

import pytest

from evcharge_agent.ocpp16.security.certificate_store import CertificateStore, Kind
from evcharge_agent.ocpp16.security.memory import LinkMemory
from evcharge_agent.ocpp16.security.moments import Moments
from evcharge_agent.ocpp16.security.roots import Roots
from evcharge_agent.ocpp16.security.tls import Trust
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.settings.ocpp_section import Ocpp
from tests.support.certificates import root

OLD, NEW = root("old").pem, root("new").pem
SYSTEM = Trust(is_system=True)


def alternatives(tmp_path, *installed, has_worked=False, is_strict=False, ca_file=None):
    store = CertificateStore(tmp_path)
    for pem in installed:
        store.add_root(Kind.CENTRAL_SYSTEM_ROOT, pem)
    memory = LinkMemory()
    memory._texts = {"installed_roots_worked": "yes"} if has_worked else {}
    keys = {"AdditionalRootCertificateCheck": is_strict}
    settings = Ocpp.model_validate({"keys": keys, "ca_file": ca_file})
    return Roots(store, lambda: settings, memory, Moments(Clock(), memory)).alternatives()


def installed(*pems):
    return Trust(pems, are_installed=True)


@pytest.mark.parametrize(
    ("roots", "options", "expected"),
    [
        ((), {}, (SYSTEM,)),
        ((), {"ca_file": "/ca"}, (Trust(ca_file="/ca"),)),
        ((OLD,), {}, (installed(OLD), SYSTEM)),
        ((OLD,), {"has_worked": True}, (installed(OLD),)),
        ((OLD, NEW), {"has_worked": True}, (installed(NEW, OLD),)),
        ((OLD,), {"ca_file": "/ca"}, (Trust((OLD,), "/ca"),)),
        ((OLD,), {"is_strict": True}, (installed(OLD), SYSTEM)),
        ((OLD,), {"is_strict": True, "ca_file": "/ca"}, (installed(OLD), Trust(ca_file="/ca"))),
        ((OLD,), {"is_strict": True, "has_worked": True, "ca_file": "/ca"}, (installed(OLD),)),
        ((OLD, NEW), {"is_strict": True, "has_worked": True}, (installed(NEW), installed(OLD))),
    ],
)
def test_others_are_believed_only_while_the_installed_have_not_worked(tmp_path, roots, options, expected):
    assert alternatives(tmp_path, *roots, **options) == expected
