"""Which ports Nova has plugged into servers: a file plugged/<port> each.

The fake chassis reports a port up once it is plugged, as a real vswitch does. It must not do so earlier: Neutron first asks
OVN for the chassis and then notes that the port is bound, and gives up a port that is up for five seconds before that.
"""
import os

from fairlead_openstack import STATE

FOLDER = os.path.join(STATE, 'plugged')


def plug(port):
    open(os.path.join(FOLDER, port), 'w').close()


def unplug(port):
    try:
        os.unlink(os.path.join(FOLDER, port))
    except FileNotFoundError:
        pass


def plugged():
    return set(os.listdir(FOLDER))
