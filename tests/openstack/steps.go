package openstack

import "context"

// steps fill a new state. An interrupted step is never repeated: Up begins a state that was not completed anew.
func steps(v values) []unit {
	all := []unit{
		{name: "databases", needs: []string{"mariadb"}, do: func(ctx context.Context) error { return makeDatabases(ctx, v) }},
		{name: "keystone-bootstrap", needs: []string{"keystone-db"}, do: runAll("keystone-bootstrap",
			manageKeystone("bootstrap", "--bootstrap-password", v.Secret, "--bootstrap-region-id", Region, "--bootstrap-admin-url", authURL(),
				"--bootstrap-internal-url", authURL(), "--bootstrap-public-url", authURL()))},
		{name: "identity", needs: []string{"keystone"}, do: func(ctx context.Context) error { return seedIdentity(ctx, v) }},
		{name: "workers", needs: append(computeNames(), "nova-conductor", "nova-scheduler", "nova", "cinder-scheduler", "cinder-volume", "cinder"), ready: workersUp},
		{name: "cells", needs: []string{"workers"}, do: func(ctx context.Context) error { return run(ctx, "cells", manageNova("cell_v2", "discover_hosts")...) }},
		{name: "seed", needs: []string{"cells", "glance", "neutron", "octavia"}, do: seedCloud},
		{name: "project", needs: []string{"seed"}, do: func(ctx context.Context) error { return seedProject(ctx, v) }},
	}
	for _, s := range schemas() {
		all = append(all, s.unit())
	}
	return all
}

// runAll is a step of programs.
func runAll(log string, programs ...[]string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, args := range programs {
			if err := run(ctx, log, args...); err != nil {
				return err
			}
		}
		return nil
	}
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
