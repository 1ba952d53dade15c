package devcloud

import "fmt"

// DefaultConfigYAML is the text of DefaultConfig, with comments: the start of a configuration of one's own.
func DefaultConfigYAML() string { return defaultConfig }

const defaultConfig = `# The embedded cloud of Fairlead. Start it with: fairlead-devcloud serve --config FILE
listen: 127.0.0.1:8780
# publicURL: http://127.0.0.1:8780      # how clients reach it, if that differs
stateDir: /var/lib/fairlead-devcloud    # everything that survives a restart, the disks too
region: RegionOne

times:
  profile: default                      # default: 50 ms each; realistic: as public clouds; instant: none
  # kinds: {volume.attach: 4s, loadbalancer.create: 30s}

projects:
- name: demo
users:
- name: demo
  password: demo
  projects: [demo]
applicationCredentials:
- name: kubernetes
  secret: kubernetes
  user: demo
  project: demo
  # expires: 2030-01-01T00:00:00Z
tokenLifetime: 4h

zones:
  volume: [nova]
  compute: [nova]
volumeTypes:                            # the first is the default
- name: standard
- name: shared
  multiattach: true
flavors:
- {id: "1", name: small, vcpus: 1, ramMiB: 2048, diskGiB: 10}
- {id: "2", name: medium, vcpus: 2, ramMiB: 4096, diskGiB: 20}
images:                                 # names only: the command line insists on one
- name: none
quotas:
  volumes: 1000
  gigabytes: 20000

networks:
- name: public
  external: true
  subnets:
  - name: public
    cidr: 172.30.0.0/24
- name: demo
  subnets:
  - name: demo
    cidr: 10.200.0.0/24
    pools: [{start: 10.200.0.100, end: 10.200.0.200}]
routers:
- name: demo
  externalNetwork: public
  subnets: [demo]

# Network devices of this machine for the addresses of load balancers and for floating IPs:
# addressDevices: {vip: fairlead0, floating: fairlead0}

# The command that starts and stops what stands behind servers with the metadata key lab.fairlead.io:node:
# hypervisor: {command: [/usr/local/bin/lab-node]}
`

func mustParse(text string) Config {
	c, err := ParseConfig([]byte(text))
	if err != nil {
		panic(fmt.Sprintf("the default configuration is wrong: %v", err)) //nolint:forbidigo // a constant of ours
	}
	return c
}
