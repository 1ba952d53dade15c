"""Cinder's driver: every volume and every snapshot is a sparse file, so that volumes hold data."""
import os
import subprocess

from oslo_config import cfg
from oslo_log import log as logging

from cinder import interface
from cinder.volume import driver

from fairlead_openstack import STATE, faults

LOG = logging.getLogger(__name__)

# One folder for all backends: ids are unique, and the Nova driver need not know the backend.
FOLDER = os.path.join(STATE, 'volumes')
CAPACITY_GIB = 10000


def _path(thing):
    return os.path.join(FOLDER, thing.name)


def _grow(volume, gib):
    with open(_path(volume), 'ab') as f:
        f.truncate(gib << 30)


def _copy(source, target):
    subprocess.run(['cp', '--sparse=always', '--reflink=auto', _path(source), _path(target)], check=True)


def _remove(thing):
    try:
        os.unlink(_path(thing))
    except FileNotFoundError:
        LOG.warning('%s is gone already', _path(thing))


@interface.volumedriver
class FileDriver(driver.VolumeDriver):
    """Create, delete, snapshot, clone, revert, extend (in use too), retype, multiattach, copies of images."""

    VERSION = '1.0.0'
    CI_WIKI_NAME = 'none'

    @staticmethod
    def get_driver_options():
        return []

    def do_setup(self, context):
        os.makedirs(FOLDER, exist_ok=True)

    def check_for_setup_error(self):
        pass

    def local_path(self, volume):
        return _path(volume)

    # Volumes and snapshots.

    def create_volume(self, volume):
        faults.hit('cinder', 'create_volume', volume.project_id)
        _grow(volume, volume.size)

    def create_volume_from_snapshot(self, volume, snapshot):
        faults.hit('cinder', 'create_volume', volume.project_id)
        _copy(snapshot, volume)
        _grow(volume, volume.size)

    def create_cloned_volume(self, volume, src_vref):
        faults.hit('cinder', 'create_volume', volume.project_id)
        _copy(src_vref, volume)
        _grow(volume, volume.size)

    def delete_volume(self, volume):
        faults.hit('cinder', 'delete_volume', volume.project_id)
        _remove(volume)

    def extend_volume(self, volume, new_size):
        faults.hit('cinder', 'extend_volume', volume.project_id)
        _grow(volume, new_size)

    def create_snapshot(self, snapshot):
        faults.hit('cinder', 'create_snapshot', snapshot.project_id)
        _copy(snapshot.volume, snapshot)

    def delete_snapshot(self, snapshot):
        faults.hit('cinder', 'delete_snapshot', snapshot.project_id)
        _remove(snapshot)

    def revert_to_snapshot(self, context, volume, snapshot):
        _copy(snapshot, volume)

    def retype(self, context, volume, new_type, diff, host):
        faults.hit('cinder', 'retype', volume.project_id)
        return volume.host == host['host'], None

    def migrate_volume(self, context, volume, host):
        return False, None

    def update_migrated_volume(self, ctxt, volume, new_volume, original_volume_status):
        os.rename(_path(new_volume), _path(volume))
        return {'_name_id': None}

    # Images.

    def copy_image_to_volume(self, context, volume, image_service, image_id, disable_sparse=False):
        with open(_path(volume), 'wb') as f:
            image_service.download(context, image_id, f)
        _grow(volume, volume.size)

    def copy_volume_to_image(self, context, volume, image_service, image_meta):
        with open(_path(volume), 'rb') as f:
            image_service.update(context, image_meta['id'], {}, f)

    # Attachments: the Nova driver finds the file by the volume's id.

    def ensure_export(self, context, volume):
        pass

    def create_export(self, context, volume, connector):
        faults.hit('cinder', 'create_export', volume.project_id)

    def remove_export(self, context, volume):
        pass

    def initialize_connection(self, volume, connector):
        faults.hit('cinder', 'initialize_connection', volume.project_id)
        return {'driver_volume_type': 'local', 'data': {'device_path': _path(volume)}}

    def terminate_connection(self, volume, connector, **kwargs):
        faults.hit('cinder', 'terminate_connection', volume.project_id)

    def _update_volume_stats(self):
        name = self.configuration.volume_backend_name
        self._stats = {
            'volume_backend_name': name,
            'vendor_name': 'Fairlead',
            'driver_version': self.VERSION,
            'storage_protocol': 'local',
            'pools': [{
                'pool_name': name,
                'total_capacity_gb': CAPACITY_GIB,
                'free_capacity_gb': CAPACITY_GIB,
                'provisioned_capacity_gb': 0,
                'max_over_subscription_ratio': 20.0,
                'thin_provisioning_support': True,
                'thick_provisioning_support': False,
                'reserved_percentage': 0,
                'QoS_support': False,
                'multiattach': True,
                'online_extend_support': True,
                'filter_function': self.get_filter_function(),
                'goodness_function': self.get_goodness_function(),
            }],
        }
