"""Runs `openstack` command lines, each in a process of its own that has the client's imports behind it.

Starting the client costs over a second, most of it imports. So this process imports them once and forks for each command;
the child is what /usr/bin/openstack is after its imports, with arguments, output and exit code of its own.

Input: one JSON list of arguments per line. Output, per line of input: {"code": n, "stdout": text, "stderr": text}.
The environment holds OS_CLIENT_CONFIG_FILE and OS_CLOUD.
"""

import gc
import importlib
import json
import os
import pkgutil
import signal
import sys
import tempfile

from openstackclient import shell

SECONDS = 120  # one command may take; it is ended by SIGALRM after that

# What the commands would import.
PACKAGES = [
    "openstackclient.common", "openstackclient.compute", "openstackclient.identity.v3", "openstackclient.image.v2",
    "openstackclient.network", "openstackclient.volume.v3", "openstackclient.volume.v2", "octaviaclient.osc",
    "octaviaclient.api", "keystoneauth1.loading", "openstack.compute.v2", "openstack.network.v2", "openstack.image.v2",
    "novaclient.v2", "cinderclient.v3",
]


def import_all():
    """Import the modules that commands need. Those that cannot be imported are left to the commands."""
    for name in PACKAGES:
        try:
            package = importlib.import_module(name)
        except ImportError:
            continue
        for module in pkgutil.walk_packages(package.__path__, name + "."):
            try:
                if ".tests" not in module.name:
                    importlib.import_module(module.name)
            except ImportError:
                continue


def run(argv):
    """Run one command in a child and return its exit code and output."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                signal.alarm(SECONDS)
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)
                code = shell.main(argv)
            except SystemExit as e:  # argparse
                code = e.code
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code if isinstance(code, int) else int(bool(code)))
        _, status = os.waitpid(child, 0)
        out.seek(0)
        err.seek(0)
        return {"code": os.waitstatus_to_exitcode(status), "stdout": out.read().decode(), "stderr": err.read().decode()}


def main():
    sys.argv = ["openstack"]  # the name that usage texts show
    import_all()
    gc.freeze()  # children share the pages
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
