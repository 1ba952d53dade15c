"""The application of one API service under uwsgi: FAIRLEAD_OPENSTACK_APP=<service>=<module>:<factory>."""
import importlib
import os

from fairlead_openstack import access

_service, _target = os.environ['FAIRLEAD_OPENSTACK_APP'].split('=')
_module, _factory = _target.split(':')
application = access.AccessLog(getattr(importlib.import_module(_module), _factory)(), _service)
