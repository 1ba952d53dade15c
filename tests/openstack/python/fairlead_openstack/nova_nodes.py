"""Servers that are nodes of the lab (tests/lab): bin/openstack starts and stops their processes."""
import json

KEY = 'lab.fairlead.io:node'


def is_node(instance):
    return KEY in instance.metadata


def start(helper, instance, network_info):
    """Powers the node on; its first port's address tells which node it is."""
    helper('node', 'start', stdin=json.dumps({
        'id': instance.uuid,
        'name': instance.display_name,
        'project': instance.project_id,
        'address': network_info[0].fixed_ips()[0]['address'],
        'metadata': dict(instance.metadata),
    }))


def stop(helper, instance):
    """Cuts the node's power: when it returns, no process holds a disk."""
    helper('node', 'stop', instance.uuid)


def runs(helper, instance):
    return helper('node', 'status', instance.uuid).strip() == 'up'
