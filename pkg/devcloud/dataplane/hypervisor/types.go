// Package hypervisor starts and stops what stands behind a server: the operator's command makes a lab node of it.
package hypervisor

// Server is what the command is told about the server, as JSON on its standard input.
type Server struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Address  string            `json:"address"`  // the fixed address of its first port
	DiskDir  string            `json:"diskDir"`  // on the host; the server shall see it as /dev/disk
	Metadata map[string]string `json:"metadata"` // as given when the server was created
}

// Started is what the command prints as JSON when the server's processes are started.
type Started struct {
	NetNS string `json:"netns"` // path of the server's network namespace; empty: it has none of its own
}
