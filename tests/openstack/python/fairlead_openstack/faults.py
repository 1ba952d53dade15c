"""Injected faults: a file faults/<service>.<operation> strikes that operation of every project.

Its content is JSON: {"sleep": seconds, "fail": "message", "times": how often}; every key may be missing.
"""
import fcntl
import json
import os
import time

from fairlead_openstack import STATE

FOLDER = os.path.join(STATE, 'faults')


class InjectedFault(Exception):
    """What an operation raises that was told to fail."""


def read(name):
    """The specification in a fault file, or {} if there is none."""
    try:
        with open(os.path.join(FOLDER, name)) as f:
            return json.load(f)
    except (OSError, ValueError):
        return {}


def _take(name):
    """Reads a fault and counts it down; it goes with its last time."""
    with open(os.path.join(STATE, 'run', 'faults.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        spec = read(name)
        if 'times' in spec:
            path = os.path.join(FOLDER, name)
            spec['times'] -= 1
            if spec['times'] <= 0:
                os.unlink(path)
            else:
                with open(path + '.new', 'w') as f:
                    json.dump(spec, f)
                os.rename(path + '.new', path)
        return spec


def hit(service, operation):
    """Sleeps and fails as the operation's fault file says."""
    name = '%s.%s' % (service, operation)
    if not os.path.exists(os.path.join(FOLDER, name)):
        return
    spec = _take(name)
    if spec.get('sleep'):
        time.sleep(spec['sleep'])
    if spec.get('fail'):
        raise InjectedFault('injected fault %s: %s' % (name, spec['fail']))
