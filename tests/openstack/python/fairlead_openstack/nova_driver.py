"""Nova's driver: servers are pretended (nova.virt.fake), their disks are real.

An attached volume is a loop device of its own, shown under servers/<server>/disk/by-id only. A server whose metadata says
so is a node of the lab and has processes. The program bin/openstack does both. Servers and disks survive a restart of
nova-compute.
"""
import os

import eventlet
from nova import exception
from nova.compute import power_state
from nova.virt import fake
from oslo_concurrency import processutils

from fairlead_openstack import STATE, faults, nova_nodes, plugs


def _helper(*args, stdin=None):
    """Runs bin/openstack; a failure carries what it printed."""
    # Not our environment, by which Down knows the stack's processes: a node of the lab is none.
    env = {'PATH': os.environ['PATH'], 'HOME': '/root', 'FAIRLEAD_OPENSTACK_DIR': STATE}
    out, _ = processutils.execute(os.path.join(STATE, 'bin', 'openstack'), *args, process_input=stdin, env_variables=env)
    return out


def _volume(connection_info):
    return connection_info.get('serial') or connection_info['data']['volume_id']


class Driver(fake.FakeDriver):

    vcpus = 64
    memory_mb = 262144
    local_gb = 4000

    def spawn(self, context, instance, image_meta, injected_files, admin_password, allocations, network_info=None,
              block_device_info=None, power_on=True, accel_info=None):
        faults.hit('nova', 'spawn', instance.project_id)
        super().spawn(context, instance, image_meta, injected_files, admin_password, allocations,
                      network_info=network_info, block_device_info=block_device_info, power_on=power_on)
        self._plug_and_wait(instance, network_info)
        for bdm in (block_device_info or {}).get('block_device_mapping', []):
            _helper('disk', 'attach', _volume(bdm['connection_info']), instance.uuid)
        if nova_nodes.is_node(instance):
            nova_nodes.start(_helper, instance, network_info)

    def power_on(self, context, instance, network_info, block_device_info=None, accel_info=None):
        super().power_on(context, instance, network_info, block_device_info, accel_info)
        if nova_nodes.is_node(instance):
            nova_nodes.start(_helper, instance, network_info)

    def power_off(self, instance, timeout=0, retry_interval=0):
        super().power_off(instance, timeout, retry_interval)
        if nova_nodes.is_node(instance):
            nova_nodes.stop(_helper, instance)

    def reboot(self, context, instance, network_info, reboot_type, block_device_info=None, bad_volumes_callback=None,
               accel_info=None):
        super().reboot(context, instance, network_info, reboot_type, block_device_info, bad_volumes_callback, accel_info)
        if nova_nodes.is_node(instance):
            nova_nodes.stop(_helper, instance)
            nova_nodes.start(_helper, instance, network_info)

    def destroy(self, context, instance, network_info, block_device_info=None, destroy_disks=True,
                destroy_secrets=True):
        if nova_nodes.is_node(instance):
            nova_nodes.stop(_helper, instance)
        super().destroy(context, instance, network_info, block_device_info, destroy_disks, destroy_secrets)
        self.unplug_vifs(instance, network_info)
        _helper('disk', 'remove-server', instance.uuid)

    def _plug_and_wait(self, instance, network_info):
        """Plugs the ports; a server is ACTIVE only after they are."""
        awaited = [('network-vif-plugged', vif['id']) for vif in network_info or [] if vif.get('active', True) is False]
        try:
            with self.virtapi.wait_for_instance_event(instance, awaited, deadline=60):
                self.plug_vifs(instance, network_info)
        except eventlet.timeout.Timeout as e:
            raise exception.VirtualInterfaceCreateException() from e

    def plug_vifs(self, instance, network_info):
        for vif in network_info or []:
            plugs.plug(vif['id'])

    def unplug_vifs(self, instance, network_info):
        for vif in network_info or []:
            plugs.unplug(vif['id'])

    def attach_interface(self, context, instance, image_meta, vif):
        super().attach_interface(context, instance, image_meta, vif)
        plugs.plug(vif['id'])

    def detach_interface(self, context, instance, vif):
        self._interfaces.setdefault(vif['id'], vif)  # an earlier process of this nova-compute may have attached it
        super().detach_interface(context, instance, vif)
        plugs.unplug(vif['id'])

    def attach_volume(self, context, connection_info, instance, mountpoint, **kwargs):
        faults.hit('nova', 'attach_volume', instance.project_id)
        super().attach_volume(context, connection_info, instance, mountpoint, **kwargs)
        _helper('disk', 'attach', _volume(connection_info), instance.uuid)

    def detach_volume(self, context, connection_info, instance, mountpoint, encryption=None):
        faults.hit('nova', 'detach_volume', instance.project_id)
        super().detach_volume(context, connection_info, instance, mountpoint, encryption=encryption)
        _helper('disk', 'detach', _volume(connection_info), instance.uuid)

    def extend_volume(self, context, connection_info, instance, requested_size):
        faults.hit('nova', 'extend_volume', instance.project_id)
        _helper('disk', 'extend', _volume(connection_info), str(requested_size >> 30))

    def _adopt(self, instance):
        """Knows a server again that an earlier process of this nova-compute made."""
        if instance.uuid in self.instances:
            return
        off = instance.power_state == power_state.SHUTDOWN
        self.instances[instance.uuid] = fake.FakeInstance(
            instance.name, power_state.SHUTDOWN if off else power_state.RUNNING, instance.uuid)
        flavor = instance.flavor
        self.resources.claim(vcpus=flavor.vcpus, mem=flavor.memory_mb, disk=flavor.root_gb)

    def _look(self, instance):
        """Sees that a node died by itself: Nova then stops the server."""
        known = self.instances[instance.uuid]
        if known.state == power_state.RUNNING and nova_nodes.is_node(instance) and not nova_nodes.runs(_helper, instance):
            known.state = power_state.SHUTDOWN

    def get_info(self, instance, use_cache=True):
        if instance.host == self._host and instance.vm_state in ('active', 'stopped', 'paused', 'suspended'):
            self._adopt(instance)
            self._look(instance)
        return super().get_info(instance, use_cache=use_cache)
