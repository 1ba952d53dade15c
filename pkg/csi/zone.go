package csi

import (
	"fmt"
	"slices"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
)

// ZonePolicy says whether the zones of nodes and of disks are the same zones.
type ZonePolicy string

// The zone policies.
const (
	// ZonesAuto holds that they are when the cloud's disk zones contain the node's zone, and ignores zones otherwise.
	ZonesAuto ZonePolicy = "auto"
	// ZonesMatch holds that they are: a disk without a zone of its own name for the node's is refused.
	ZonesMatch ZonePolicy = "match"
	// ZonesIgnore holds that they are not: a disk can be used in every zone.
	ZonesIgnore ZonePolicy = "ignore"
)

// ParseZonePolicy reads a policy from a flag.
func ParseZonePolicy(s string) (ZonePolicy, error) {
	switch p := ZonePolicy(s); p {
	case ZonesAuto, ZonesMatch, ZonesIgnore:
		return p, nil
	}
	return "", fmt.Errorf("zone policy %q is unknown; allowed are %s, %s, %s", s, ZonesAuto, ZonesMatch, ZonesIgnore)
}

// placement is where a disk is made and from where it can be used.
type placement struct {
	zone string // to ask the cloud for; empty: the cloud's choice
	free bool   // the disk can be used in every zone
}

// place chooses a disk's zone. wanted are the zones of the nodes that the cluster can use, in its order of preference;
// offered are the zones in which the cloud makes disks; availability is the StorageClass's choice. A pure function.
func place(policy ZonePolicy, wanted, offered []string, availability string) (placement, error) {
	if policy == ZonesIgnore || len(wanted) == 0 {
		return placement{zone: availability, free: policy != ZonesMatch}, nil
	}
	var common []string
	for _, z := range wanted {
		if slices.Contains(offered, z) {
			common = append(common, z)
		}
	}
	switch {
	case len(common) == 0 && policy == ZonesAuto:
		return placement{zone: availability, free: true}, nil
	case len(common) == 0:
		return placement{}, refuse(codes.ResourceExhausted, "the cloud has no disks in the nodes' zones %s; it has them in %s "+
			"(zone policy %q; with %q zones are ignored)", strings.Join(wanted, ", "), strings.Join(offered, ", "), policy, ZonesIgnore)
	case availability == "":
		return placement{zone: common[0]}, nil
	case slices.Contains(common, availability):
		return placement{zone: availability}, nil
	case !slices.Contains(offered, availability):
		return placement{}, unknownZone(availability, offered)
	}
	return placement{}, refuse(codes.ResourceExhausted, "StorageClass parameter %q is %q, but the pod was placed in zone %s; "+
		"set allowedTopologies of the StorageClass to that zone, or run the controller with the zone policy %q",
		ParameterAvailability, availability, strings.Join(wanted, ", "), ZonesIgnore)
}

func unknownZone(zone string, offered []string) error {
	return invalid("StorageClass parameter %q: %q is not a zone for disks of this cloud; allowed are %s",
		ParameterAvailability, zone, strings.Join(offered, ", "))
}

// wantedZones are the zones of accessibility requirements, the preferred ones first, each once. A pure function.
func wantedZones(r *csi.TopologyRequirement) []string {
	var zones []string
	for _, t := range slices.Concat(r.GetPreferred(), r.GetRequisite()) {
		if z := t.GetSegments()[TopologyZone]; z != "" && !slices.Contains(zones, z) {
			zones = append(zones, z)
		}
	}
	return zones
}
