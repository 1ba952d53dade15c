package openstack

import "context"

// databases are MariaDB's, one or more per service.
var databases = []string{"keystone", "placement", "nova", "nova_api", "nova_cell0", "glance", "cinder", "neutron", "octavia"}

// steps fill a new state. An interrupted step is never repeated: Up begins a state that was not completed anew.
func steps(v values) []unit {
	return []unit{
		{name: "databases", needs: []string{"mariadb"}, do: func(ctx context.Context) error { return makeDatabases(ctx, v) }},
		migrate("keystone-db",
			manageKeystone("fernet_setup", "--keystone-user", "root", "--keystone-group", "root"),
			manageKeystone("credential_setup", "--keystone-user", "root", "--keystone-group", "root"),
			manageKeystone("db_sync"),
			manageKeystone("bootstrap", "--bootstrap-password", v.Secret, "--bootstrap-region-id", Region, "--bootstrap-admin-url", authURL(),
				"--bootstrap-internal-url", authURL(), "--bootstrap-public-url", authURL())),
		migrate("placement-db", entryPoint("placement.cmd.manage:main", "placement-manage", []string{etc("placement", "placement.conf")}, "db", "sync")),
		migrate("glance-db", entryPoint("glance.cmd.manage:main", "glance-manage", []string{etc("glance", "glance-api.conf")}, "db_sync")),
		migrate("octavia-db", entryPoint("octavia.db.migration.cli:main", "octavia-db-manage", []string{etc("octavia", "octavia.conf")}, "upgrade", "head")),
		migrate("neutron-db", entryPoint("neutron.db.migration.cli:main", "neutron-db-manage", []string{etc("neutron", "neutron.conf")}, "upgrade", "heads")),
		migrate("cinder-db", entryPoint("cinder.cmd.manage:main", "cinder-manage", []string{etc("cinder", "cinder.conf")}, "db", "sync")),
		migrate("nova-db",
			manageNova("api_db", "sync"),
			manageNova("cell_v2", "map_cell0", "--database_connection", v.Database("nova_cell0")),
			manageNova("db", "sync"),
			manageNova("cell_v2", "create_cell", "--name", "cell1")),
		{name: "identity", needs: []string{"keystone"}, do: func(ctx context.Context) error { return seedIdentity(ctx, v) }},
		{name: "workers", needs: append(computeNames(), "nova-conductor", "nova-scheduler", "nova", "cinder-scheduler", "cinder-volume", "cinder"), ready: workersUp},
		{name: "cells", needs: []string{"workers"}, do: func(ctx context.Context) error { return run(ctx, "cells", manageNova("cell_v2", "discover_hosts")...) }},
		{name: "seed", needs: []string{"cells", "glance", "neutron", "octavia"}, do: seedCloud},
		{name: "project", needs: []string{"seed"}, do: func(ctx context.Context) error { return seedProject(ctx, v) }},
	}
}

// migrate is a step of programs that make a service's tables.
func migrate(name string, programs ...[]string) unit {
	needs := []string{"databases"}
	switch name {
	case "keystone-db", "neutron-db", "nova-db": // everything waits for the first, and the others take longest
	default:
		needs = append(needs, "keystone-db")
	}
	return unit{name: name, needs: needs, do: func(ctx context.Context) error {
		for _, args := range programs {
			if err := run(ctx, name, args...); err != nil {
				return err
			}
		}
		return nil
	}}
}

func manageNova(args ...string) []string {
	return entryPoint("nova.cmd.manage:main", "nova-manage", []string{etc("nova", "nova.conf")}, args...)
}

func manageKeystone(args ...string) []string {
	return entryPoint("keystone.cmd.manage:main", "keystone-manage", []string{etc("keystone", "keystone.conf")}, args...)
}

func computeNames() []string {
	var names []string
	for _, host := range computeHosts {
		names = append(names, "nova-"+host.name)
	}
	return names
}
