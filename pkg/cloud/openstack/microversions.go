package openstack

// The oldest microversions that have what we use. A newer one would shut out older clouds for nothing.
const (
	// microversionCompute: 2.47 puts the flavor's name into the server, 2.60 attaches multiattach volumes (Queens).
	microversionCompute = "2.60"
	// microversionBlockStorage: 3.42 extends volumes that are in use (Pike).
	microversionBlockStorage = "3.42"
)
