// Package observe is the observed state of a cloud: an Observer tells callers when an object fulfils a predicate, with
// as few questions to the cloud as possible, and a ListCache shares one list among all readers.
package observe
