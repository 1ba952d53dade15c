"""Octavia's network driver for amphorae that do not exist.

The load balancer's ports and security groups are really made in Neutron. Plugging a port into an amphora only writes
the amphora's made-up server id into it; Nova is never asked. The management network does not exist.
"""
from oslo_config import cfg

from octavia.common import constants
from octavia.network import data_models
from octavia.network.drivers.neutron import allowed_address_pairs
from octavia.network.drivers.neutron import utils


class NetworkDriver(allowed_address_pairs.AllowedAddressPairsDriver):

    def get_network(self, network_id, context=None):
        if network_id in cfg.CONF.controller_worker.amp_boot_network_list:
            return data_models.Network(id=network_id, subnets=[], port_security_enabled=True)
        return super().get_network(network_id, context=context)

    def _make_port(self, name, compute_id, network_id, fixed_ips=None):
        port = {constants.NAME: name, constants.NETWORK_ID: network_id, 'device_id': compute_id,
                constants.ADMIN_STATE_UP: True, constants.DEVICE_OWNER: allowed_address_pairs.OCTAVIA_OWNER}
        if fixed_ips:
            port[constants.FIXED_IPS] = fixed_ips
        made = utils.convert_port_dict_to_model(self.neutron_client.create_port({constants.PORT: port}))
        return data_models.Interface(compute_id=compute_id, network_id=network_id, port_id=made.id,
                                     fixed_ips=made.fixed_ips)

    def _plug_amphora_vip(self, amphora, subnet):
        return self._make_port('octavia-lb-vrrp-' + amphora.id, amphora.compute_id, subnet.network_id,
                               [{'subnet_id': subnet.id}])

    def plug_port(self, amphora, port):
        self.neutron_client.update_port(port.id, {constants.PORT: {'device_id': amphora.compute_id}})
        return data_models.Interface(compute_id=amphora.compute_id, network_id=port.network_id, port_id=port.id,
                                     fixed_ips=port.fixed_ips)

    def plug_network(self, compute_id, network_id):
        return self._make_port('octavia-amp-' + compute_id, compute_id, network_id)

    def unplug_network(self, compute_id, network_id):
        for interface in self.get_plugged_networks(compute_id):
            if interface.network_id == network_id:
                self.delete_port(interface.port_id)

    def unplug_aap_port(self, vip, amphora, subnet):
        if amphora.vrrp_port_id:
            self.delete_port(amphora.vrrp_port_id)

    def deallocate_vip(self, vip):
        # Nova would have removed these with the amphora's server.
        for amphora in vip.load_balancer.amphorae:
            if amphora.compute_id:
                for interface in self.get_plugged_networks(amphora.compute_id):
                    self.delete_port(interface.port_id)
        super().deallocate_vip(vip)

    def failover_preparation(self, amphora):
        pass
