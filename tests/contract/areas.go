package contract

import "slices"

// areas are all that the suite states.
var areas = []Area{
	blockStorage,
	compute,
	attachments,
	identity,
	network,
	loadBalancing,
}

var blockStorage = Area{Name: "block storage", Cases: slices.Concat(volumeVersionCases, volumeCases)}

var compute = Area{Name: "compute", Cases: slices.Concat(computeVersionCases, serverCases)}

var attachments = Area{Name: "volume attachments", Cases: attachmentCases}

var identity = Area{Name: "identity", Cases: identityCases}

var network = Area{Name: "network", Cases: networkCases}

var loadBalancing = Area{Name: "load balancing", Cases: loadBalancerCases}
