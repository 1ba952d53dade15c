package csi

import (
	"maps"
	"slices"
	"strings"
)

// The parameters of a StorageClass.
const (
	// ParameterType is the disk type; without it the cloud chooses.
	ParameterType = "type"
	// ParameterAvailability is the zone of the disk; without it, that of the pod's node.
	ParameterAvailability = "availability"
)

// reservedPrefix is that of the parameters that the provisioner adds; those that we do not use are ignored.
const reservedPrefix = "csi.storage.k8s.io/"

// provenance says under which metadata key a parameter of the provisioner is kept with the disk, for people who look at
// the cloud.
var provenance = map[string]string{
	reservedPrefix + "pvc/name":      "kubernetes.io/created-for/pvc/name",
	reservedPrefix + "pvc/namespace": "kubernetes.io/created-for/pvc/namespace",
	reservedPrefix + "pv/name":       "kubernetes.io/created-for/pv/name",
}

// parameters are what a StorageClass asks for.
type parameters struct {
	diskType     string
	availability string
	metadata     map[string]string
}

// parseParameters reads the parameters of CreateVolume; a pure function.
func parseParameters(given map[string]string) (parameters, error) {
	p := parameters{metadata: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value := given[name]
		switch {
		case name == ParameterType:
			p.diskType = value
		case name == ParameterAvailability:
			p.availability = value
		case provenance[name] != "":
			p.metadata[provenance[name]] = value
		case strings.HasPrefix(name, reservedPrefix):
		default:
			return p, invalid("StorageClass parameter %q (value %q) is unknown; allowed are %s, %s", name, value,
				ParameterAvailability, ParameterType)
		}
	}
	return p, nil
}
