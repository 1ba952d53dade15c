// Package contract states, case by case, what the OpenStack APIs do that Fairlead and its users rely on: states passed
// through, codes, error bodies, headers, pages, filters, microversions, refusals, repeated calls. Every case runs on
// the embedded cloud, and with -openstack on the real services too, through plain HTTP. The real services are right:
// where devcloud differs it is mended, or the case says why it stays different.
package contract
