"""Injected faults: a file faults/<service>.<operation>@<project's id> strikes that operation of the project, one without
@<project's id> that of every project.

Its content is JSON: {"sleep": seconds, "hold": true, "fail": "message", "times": how often}; every key may be missing.
What is held goes on when the file is gone.
"""
import fcntl
import json
import os
import time

from fairlead_openstack import STATE

FOLDER = os.path.join(STATE, 'faults')


class InjectedFault(Exception):
    """What an operation raises that was told to fail."""


def projects(operation):
    """The ids of the projects that have a fault of their own for the operation."""
    return [name.split('@')[1] for name in os.listdir(FOLDER) if name.startswith(operation + '@')]


def _read(name):
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
        spec = _read(name)
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


def hit(service, operation, project):
    """Sleeps and fails as the operation's fault files say."""
    every = '%s.%s' % (service, operation)
    for name in (every + '@' + project, every):
        if not os.path.exists(os.path.join(FOLDER, name)):
            continue
        spec = _take(name)
        if spec.get('sleep'):
            time.sleep(spec['sleep'])
        while spec.get('hold') and os.path.exists(os.path.join(FOLDER, name)):
            time.sleep(0.05)
        if spec.get('fail'):
            raise InjectedFault('injected fault %s: %s' % (every, spec['fail']))
