package openstack

// The operations, as they stand in errors.
const (
	opVersions  = "read the API versions of"
	opPreflight = "read the"

	opCreateDisk = "create disk"
	opGetDisk    = "get disk"
	opListDisks  = "list disks"
	opDeleteDisk = "delete disk"
	opExtendDisk = "extend disk"
	opAttachDisk = "attach disk"
	opDetachDisk = "detach disk"
	opDiskTypes  = "list disk types"
	opDiskZones  = "list disk zones"

	opGetInstance   = "get instance"
	opListInstances = "list instances"
	opInstanceZones = "list instance zones"

	opCreateLoadBalancer  = "create load balancer"
	opGetLoadBalancer     = "get load balancer"
	opListLoadBalancers   = "list load balancers"
	opSetLoadBalancerTags = "set load balancer tags"
	opDeleteLoadBalancer  = "delete load balancer"
	opCreateListener      = "create listener"
	opUpdateListener      = "update listener"
	opDeleteListener      = "delete listener"
	opCreatePool          = "create pool"
	opUpdatePool          = "update pool"
	opDeletePool          = "delete pool"
	opSetMembers          = "set members"
	opCreateMonitor       = "create monitor"
	opUpdateMonitor       = "update monitor"
	opDeleteMonitor       = "delete monitor"

	opListNetworks        = "list networks"
	opListSubnets         = "list subnets"
	opListFloatingIPs     = "list floating IPs"
	opCreateFloatingIP    = "create floating IP"
	opAssociateFloatingIP = "associate floating IP"
	opDeleteFloatingIP    = "delete floating IP"
)
