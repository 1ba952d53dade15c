// Package cli has the openstack command line, which was not written for us, do the same on the embedded cloud and on a
// real OpenStack, and compares what it says: output, exit code, error text. What OpenStack answered is recorded, so that
// the embedded cloud can be judged without one.
package cli
