"""python3 -m fairlead_openstack.run <module>:<function> <program name> [arguments]

Runs a console script by its entry point: the packages with the programs in /usr/bin (nova-api, ...) need not be
installed. Gets our Nova driver, the mends of Octavia and Neutron's access log into place first.
"""
import importlib
import sys


def main():
    target, sys.argv = sys.argv[1], sys.argv[2:]
    module, function = target.split(':')
    if module == 'nova.cmd.compute':
        importlib.import_module(module)  # first: it makes the process green
        # Nova loads drivers below nova.virt only.
        sys.modules['nova.virt.fairlead'] = importlib.import_module('fairlead_openstack.nova_driver')
    if module == 'octavia.cmd.octavia_worker':
        importlib.import_module('fairlead_openstack.octavia_mends').apply()
    if module == 'neutron.cmd.eventlet.server':
        importlib.import_module(module)  # first: it makes the process green
        _log_neutron()
    sys.exit(getattr(importlib.import_module(module), function)())


def _log_neutron():
    """Neutron runs an HTTP server of its own: the other services get their access log from fairlead_openstack.wsgi."""
    config = importlib.import_module('neutron.common.config')
    access = importlib.import_module('fairlead_openstack.access')
    stock = config.load_paste_app
    config.load_paste_app = lambda name: access.AccessLog(stock(name), 'neutron')


main()
