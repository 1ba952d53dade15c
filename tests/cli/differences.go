package cli

// differences are what stays different, all of it. The documentation has them from here.
var differences = []Difference{
	{
		Commands: "catalog list", Fields: []string{"placement"},
		What: "The catalog has no placement service", Reason: "no client of a project calls it",
	},
	{
		Commands: "application credential show", Fields: []string{"unrestricted"},
		What: "Application credentials do not tell that they are restricted", Reason: "there are no others",
	},
	{
		Commands: "image (list|show)", Fields: []string{"size", "Size", "virtual_size", "stores"},
		What: "Images have no size and no store", Reason: "there is no data behind them",
	},
	{
		Commands: "image delete",
		What:     "Errors of the image service are JSON, those of Glance are HTML", Reason: "the status is the same, and HTML is for nobody",
	},
	{
		Commands: "limits show", Fields: []string{
			"maxPersonality", "maxPersonalitySize", "maxServerGroupMembers", "maxServerGroups", "maxTotalBackupGigabytes",
			"maxTotalBackups", "maxTotalKeypairs", "maxTotalSnapshots",
		},
		What: "Limits of backups, key pairs, server groups, injected files and snapshots are 0", Reason: "they are not offered",
	},
	{
		Commands: "quota show", Fields: []string{
			"backup-gigabytes", "backups", "groups", "injected-file-size", "injected-files", "injected-path-size", "key-pairs",
			"rbac_policies", "server-group-members", "server-groups", "snapshots", "subnet_pools",
		},
		What: "Quotas of the same are 0, and those of RBAC policies and subnet pools are missing", Reason: "they are not offered",
	},
	{
		Commands: "router list", Fields: []string{"Availability zones"},
		What: "Routers have no availability zones", Reason: "all of the network is on one machine",
	},
	{
		Commands: "security group (create|show)", Fields: []string{"standard_attr_id"},
		What: "Rules within a security group do not show `standard_attr_id`", Reason: "it is the number of a row in Neutron's database",
	},
	{
		Commands: "volume (list|show)|server (add volume|volume list)", Fields: []string{"device", "Device"},
		What: "Volumes appear as `/dev/vdb` and so on, on the recorded OpenStack as `/dev/sdb`", Reason: "it depends on the hypervisor's bus; no client may rely on it",
	},
	{
		Commands: "loadbalancer provider list",
		What:     "The providers are amphora, and octavia as its old name", Reason: "there is one data plane",
	},
	{
		Commands: "loadbalancer (listener |pool |member |healthmonitor |status )?(create|list|show)", Fields: []string{"operating_status"},
		What: "Operating states are those of the real balancer, on the recorded OpenStack they stay OFFLINE", Reason: "its amphorae are none and send no heartbeats",
	},
	{
		Commands: "loadbalancer create --name taken",
		What:     "An error that Octavia passes on from Neutron lacks Neutron's request id", Reason: "there is no request behind it",
	},
	{
		Commands: `port show \$port`, Fields: []string{"security_group_ids"},
		What: "The port of a load balancer has no security group", Reason: "the balancer itself honours `allowed_cidrs`; nothing filters ports",
	},
}
