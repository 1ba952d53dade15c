package openstack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// A unit is a service, a step that is done once in the life of a state, or a mere condition. It begins when the units it needs are
// ready or done; units without a path between them run side by side.
type unit struct {
	name  string
	needs []string
	// args make it a service: the program, by its path, and its arguments.
	args []string
	env  []string
	// ownRun gives the service a /run of its own that only such services share.
	ownRun bool
	// prepare is called before every start.
	prepare func(context.Context) error
	// ready says whether the service works. It is polled.
	ready func(context.Context) bool
	// do makes it a step, for a new state only.
	do func(context.Context) error
}

// Programs that are called by path: PATH may have others of the name.
const (
	python = "/usr/bin/python3"
	uwsgi  = "/usr/bin/uwsgi_python3"
)

// units are all services and the steps that fill a new state.
func units(v values) []unit {
	return append(append(backing(), services()...), steps(v)...)
}

// backing are the services under OpenStack.
func backing() []unit {
	nb, sb := path("run", "ovn-nb.sock"), path("run", "ovn-sb.sock")
	hosts := []string{python, "-m", "fairlead_openstack.fake_chassis", "unix:" + sb, "/usr/share/ovn/ovn-sb.ovsschema"}
	for _, host := range computeHosts {
		hosts = append(hosts, host.name)
	}
	return []unit{
		{name: "mariadb", args: mariadbArgs(), prepare: makeDatabaseDir, ready: answersSQL},
		{name: "epmd", args: []string{"/usr/bin/epmd", "-address", "127.0.0.1", "-port", strconv.Itoa(ports["epmd"])},
			ready: listens("127.0.0.1:" + strconv.Itoa(ports["epmd"]))},
		{name: "rabbitmq", needs: []string{"epmd"}, args: []string{"/usr/lib/rabbitmq/bin/rabbitmq-server"}, env: rabbitmqEnvironment(),
			ready: listens(hostPort("rabbitmq"))},
		ovsdb("nb", nb),
		ovsdb("sb", sb),
		{name: "ovn-northd", needs: []string{"ovn-nb", "ovn-sb"}, args: []string{"/usr/bin/ovn-northd", "--ovnnb-db=unix:" + nb,
			"--ovnsb-db=unix:" + sb, "--unixctl=" + path("run", "northd.ctl"), "-vconsole:warn"}},
		{name: "ovn-init", needs: []string{"ovn-nb", "ovn-sb"}, do: func(ctx context.Context) error {
			if err := run(ctx, "ovn-init", "/usr/bin/ovn-nbctl", "--db=unix:"+nb, "--timeout=60", "init"); err != nil {
				return err
			}
			return run(ctx, "ovn-init", "/usr/bin/ovn-sbctl", "--db=unix:"+sb, "--timeout=60", "init")
		}},
		{name: "fake-chassis", needs: []string{"ovn-init", "ovn-northd"}, args: hosts},
	}
}

func mariadbArgs() []string {
	return []string{"/usr/sbin/mariadbd", "--no-defaults", "--user=root", "--datadir=" + path("data", "mariadb"),
		"--socket=" + databaseSocket(), "--bind-address=" + Address, "--port=" + strconv.Itoa(ports["mariadb"]),
		"--pid-file=" + path("run", "mariadb.own"), "--skip-name-resolve", "--max-connections=1000",
		"--character-set-server=utf8mb3", "--collation-server=utf8mb3_general_ci",
		"--innodb-buffer-pool-size=256M", "--performance-schema=off", "--key-buffer-size=8M",
		// Safe against kill -9 and not against a power cut, which nothing in it outlives.
		"--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync", "--sync-binlog=0", "--innodb-doublewrite=0"}
}

func ovsdb(which, socket string) unit {
	file := path("data", "ovn", which+".db")
	return unit{
		name: "ovn-" + which,
		args: []string{"/usr/sbin/ovsdb-server", "--remote=punix:" + socket, "--remote=ptcp:" + strconv.Itoa(ports["ovn-"+which]) + ":" + Address,
			"--unixctl=" + path("run", "ovn-"+which+".ctl"), "--no-chdir", "-vconsole:warn", file},
		prepare: func(ctx context.Context) error {
			if _, err := os.Stat(file); err == nil {
				return nil
			}
			return run(ctx, "ovn-"+which, "/usr/bin/ovsdb-tool", "create", file, "/usr/share/ovn/ovn-"+which+".ovsschema")
		},
		ready: listens(hostPort("ovn-" + which)),
	}
}

func rabbitmqEnvironment() []string {
	dir := path("data", "rabbitmq")
	return []string{
		"RABBITMQ_CONFIG_FILE=" + path("etc", "rabbitmq", "rabbitmq.conf"),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + path("etc", "rabbitmq", "enabled_plugins"),
		"RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_MNESIA_BASE=" + dir,
		"RABBITMQ_LOG_BASE=" + path("log"),
		"RABBITMQ_LOGS=-",
		"RABBITMQ_NODENAME=fairlead@localhost",
		fmt.Sprintf("RABBITMQ_DIST_PORT=%d", ports["erlang"]),
		"RABBITMQ_PID_FILE=" + path("run", "rabbitmq.own"),
		// Its schedulers would spin for work on every CPU.
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none +S 2:2",
	}
}

// services are OpenStack's. Keystone comes first: all others ask it.
func services() []unit {
	neutron := program("neutron", "neutron.cmd.eventlet.server:main", []string{etc("neutron", "neutron.conf")}, "neutron-db", "identity", "rabbitmq", "fake-chassis")
	neutron.ready = answers(urlOf("neutron"))
	all := []unit{
		neutron,
		api("keystone", 2, "keystone.server.wsgi:initialize_public_application", "", "keystone-bootstrap"),
		api("placement", 1, "placement.wsgi:init_application", "", "placement-db", "identity"),
		api("glance", 1, "glance.common.wsgi_app:init_app", "", "glance-db", "identity"),
		// Nova and Cinder ask each other within a request: with one process each they would wait for ever.
		api("nova", 2, "nova.api.openstack.compute.wsgi:init_application", "", "nova-db", "identity", "rabbitmq"),
		api("metadata", 1, "nova.api.metadata.wsgi:init_application", "", "nova-db", "identity", "rabbitmq"),
		api("cinder", 2, "cinder.wsgi.wsgi:initialize_application", "--config-file "+etc("cinder", "cinder.conf"), "cinder-db", "identity", "rabbitmq"),
		program("nova-conductor", "nova.cmd.conductor:main", []string{etc("nova", "nova.conf")}, "nova-db", "identity", "rabbitmq"),
		program("nova-scheduler", "nova.cmd.scheduler:main", []string{etc("nova", "nova.conf")}, "nova-db", "identity", "rabbitmq"),
		program("cinder-scheduler", "cinder.cmd.scheduler:main", []string{etc("cinder", "cinder.conf")}, "cinder-db", "identity", "rabbitmq"),
		program("cinder-volume", "cinder.cmd.volume:main", []string{etc("cinder", "cinder.conf")}, "cinder-db", "identity", "rabbitmq"),
	}
	for _, host := range computeHosts {
		all = append(all, program("nova-"+host.name, "nova.cmd.compute:main", []string{etc("nova", host.name+".conf")}, "nova-conductor", "placement"))
	}
	return append(all, octavia()...)
}

// octavia is Octavia's three services, which meet in /run/octavia, whatever their configuration says.
func octavia() []unit {
	file := etc("octavia", "octavia.conf")
	socket := path("run", "root", "octavia", "status.sock")
	agent := program("octavia-driver-agent", "octavia.cmd.driver_agent:main", []string{file}, "octavia-db", "ovn-init")
	// Not asked by a connection: the agent spins for ever on one that ends without a message.
	agent.prepare, agent.ready = without(socket), exists(socket)
	worker := program("octavia-worker", "octavia.cmd.octavia_worker:main", []string{file}, "octavia-db", "identity", "rabbitmq")
	worker.ready = saysSinceStart(worker.name, "Starting V2 consumer")
	// The API's OVN provider waits for the agent's socket.
	server := api("octavia", 2, "octavia.api.app:setup_app", "--config-file "+file, "octavia-db", "identity", "rabbitmq", agent.name)
	all := []unit{agent, worker, server}
	for i := range all {
		all[i].ownRun = true
	}
	return all
}

func etc(parts ...string) string { return path(append([]string{"etc"}, parts...)...) }

// api is a service that runs under uwsgi.
func api(name string, processes int, factory, arguments string, needs ...string) unit {
	args := []string{uwsgi, "--plugins", "python3", "--http-socket", hostPort(name), "--module", "fairlead_openstack.wsgi:application",
		"--processes", strconv.Itoa(processes), "--threads", "1", "--master", "--lazy-apps", "--enable-threads", "--need-app",
		"--die-on-term", "--no-orphans", "--thunder-lock", "--listen", "100", "--buffer-size", "65535", "--disable-logging",
		"--hook-master-start", "unix_signal:15 gracefully_kill_them_all", "--add-header", "Connection: close"}
	if name != "glance" { // images are streamed; elsewhere an early 401 or 409 would reset the connection of a client that still sends
		args = append(args, "--post-buffering", "4194304")
	}
	if arguments != "" {
		args = append(args, "--pyargv", arguments)
	}
	return unit{name: name, needs: needs, args: args, env: []string{"FAIRLEAD_OPENSTACK_APP=" + name + "=" + factory}, ready: answers(urlOf(name))}
}

// program is a service that Python runs by its entry point.
func program(name, entry string, files []string, needs ...string) unit {
	return unit{name: name, needs: needs, args: entryPoint(entry, name, files)}
}

func entryPoint(entry, name string, files []string, args ...string) []string {
	all := []string{python, "-m", "fairlead_openstack.run", entry, name}
	for _, file := range files {
		all = append(all, "--config-file", file)
	}
	return append(all, args...)
}

// run runs a program to its end; what it prints goes to the log of that name.
func run(ctx context.Context, log string, args ...string) error {
	file, err := os.OpenFile(logFile(log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = environment(log)
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s: %w; %s", strings.Join(args, " "), err, tail(logFile(log)))
	}
	return nil
}
