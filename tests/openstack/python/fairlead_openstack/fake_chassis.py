"""python3 -m fairlead_openstack.fake_chassis <southbound database> <schema> <host>...

Plays ovn-controller for hosts without a vswitch: registers their chassis, binds each port that Nova has plugged to the
chassis that Neutron asked for and reports it up (Neutron then makes it ACTIVE and tells Nova), puts all gateways on the
first, and follows the configuration's sequence number, by which Neutron sees that the chassis live.
"""
import sys
import time
import uuid

import ovs.db.idl
import ovs.poller

from fairlead_openstack import plugs

CONFIG = {
    'ovn-bridge-mappings': 'physnet1:br-ex',
    'datapath-type': 'system',
    'iface-types': 'geneve',
    'port-up-notif': 'true',
    'ovn-cms-options': 'enable-chassis-as-gw',
}


def connect(remote, schema):
    helper = ovs.db.idl.SchemaHelper(schema)
    for table in ('Chassis', 'Chassis_Private', 'Encap', 'Port_Binding', 'SB_Global'):
        helper.register_table(table)
    return ovs.db.idl.Idl(remote, helper)


def register(txn, tables, hosts):
    """Makes missing chassis rows; returns all chassis by name."""
    chassis = {row.name: row for row in tables['Chassis'].rows.values()}
    for i, host in enumerate(hosts):
        name = str(uuid.uuid5(uuid.NAMESPACE_DNS, host))
        if name in chassis:
            continue
        encap = txn.insert(tables['Encap'])
        encap.type, encap.ip, encap.chassis_name = 'geneve', '127.0.1.%d' % (i + 1), name
        row = txn.insert(tables['Chassis'])
        row.name, row.hostname, row.encaps = name, host, [encap]
        row.external_ids = row.other_config = CONFIG
        chassis[name] = row
    return chassis


def follow(txn, tables, chassis):
    """Writes the sequence number that SB_Global asks for into every chassis' private row."""
    number = max([row.nb_cfg for row in tables['SB_Global'].rows.values()], default=0)
    private = {row.name: row for row in tables['Chassis_Private'].rows.values()}
    for name, row in chassis.items():
        mine = private.get(name)
        if mine is None:
            mine = txn.insert(tables['Chassis_Private'])
            mine.name, mine.chassis = name, row
        elif mine.nb_cfg == number:
            continue
        mine.nb_cfg, mine.nb_cfg_timestamp = number, int(time.time() * 1000)


def bind(tables, chassis, gateway, plugged):
    """Binds ports to where they belong and reports them up."""
    by_host = {row.hostname: row for row in chassis.values()}
    for port in tables['Port_Binding'].rows.values():
        if port.type == '':
            asked = port.options.get('requested-chassis')
            want = by_host.get(asked) or chassis.get(asked) if port.logical_port in plugged else None
        elif port.type == 'chassisredirect':
            want = by_host[gateway]
        else:
            continue
        if want is not (port.chassis[0] if port.chassis else None):
            port.chassis = [want] if want else []
            port.up = [want is not None]
        elif want is not None and port.up != [True]:
            port.up = [True]


def main():
    remote, schema, *hosts = sys.argv[1:]
    idl = connect(remote, schema)
    seen = None
    while True:
        idl.run()
        now = idl.change_seqno, plugs.plugged()
        if idl.has_ever_connected() and seen != now:
            seen = now
            txn = ovs.db.idl.Transaction(idl)
            chassis = register(txn, idl.tables, hosts)
            follow(txn, idl.tables, chassis)
            bind(idl.tables, chassis, hosts[0], now[1])
            status = txn.commit_block()
            if status != ovs.db.idl.Transaction.UNCHANGED:
                print(time.strftime('%H:%M:%S'), status, flush=True)
            continue
        poller = ovs.poller.Poller()
        idl.wait(poller)
        poller.timer_wait(200)  # for what is plugged
        poller.block()


main()
