package loadbalancer

import (
	"strconv"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// The specs are Octavia's requests. What is absent keeps its value, or gets its default in a creation.

type (
	text = engine.Optional[string]
	flag = engine.Optional[bool]
	list = engine.Optional[[]string]
)

// num is an integer, which Octavia takes as a text, too: its command line sends some that way.
type num struct{ engine.Optional[int] }

// UnmarshalJSON implements json.Unmarshaler.
func (n *num) UnmarshalJSON(b []byte) error {
	if text, err := strconv.Unquote(string(b)); err == nil {
		if _, err := strconv.Atoi(text); err == nil {
			b = []byte(text)
		}
	}
	return n.Optional.UnmarshalJSON(b)
}

// CommonSpec are the attributes that all parts accept.
type CommonSpec struct {
	Name         text `json:"name"`
	AdminStateUp flag `json:"admin_state_up"`
	Tags         list `json:"tags"`
}

// LoadBalancerSpec is a load balancer, in a creation with its whole tree if wanted.
type LoadBalancerSpec struct { //nolint:revive // one of five specs
	CommonSpec
	Description  text           `json:"description"`
	ProjectID    text           `json:"project_id"`
	VIPSubnetID  text           `json:"vip_subnet_id"`
	VIPNetworkID text           `json:"vip_network_id"`
	VIPPortID    text           `json:"vip_port_id"`
	VIPAddress   text           `json:"vip_address"`
	Provider     text           `json:"provider"`
	Listeners    []ListenerSpec `json:"listeners"`
	Pools        []PoolSpec     `json:"pools"`
}

// ListenerSpec is a listener. DefaultPool is for trees only.
type ListenerSpec struct {
	CommonSpec
	Description    text                               `json:"description"`
	ProjectID      text                               `json:"project_id"`
	LoadBalancerID text                               `json:"loadbalancer_id"`
	Protocol       text                               `json:"protocol"`
	Port           num                                `json:"protocol_port"`
	Limit          num                                `json:"connection_limit"`
	DefaultPoolID  text                               `json:"default_pool_id"`
	DefaultPool    *PoolSpec                          `json:"default_pool"`
	AllowedCIDRs   list                               `json:"allowed_cidrs"`
	ClientData     num                                `json:"timeout_client_data"`
	MemberConnect  num                                `json:"timeout_member_connect"`
	MemberData     num                                `json:"timeout_member_data"`
	TCPInspect     num                                `json:"timeout_tcp_inspect"`
	InsertHeaders  engine.Optional[map[string]string] `json:"insert_headers"`
}

// Persistence is a pool's session persistence.
type Persistence struct {
	Type        string  `json:"type"`
	CookieName  *string `json:"cookie_name"`
	Timeout     *int    `json:"persistence_timeout"`
	Granularity *string `json:"persistence_granularity"`
}

// PoolSpec is a pool. Members and Monitor are for trees only.
type PoolSpec struct {
	CommonSpec
	Description    text                         `json:"description"`
	ProjectID      text                         `json:"project_id"`
	LoadBalancerID text                         `json:"loadbalancer_id"`
	ListenerID     text                         `json:"listener_id"`
	Protocol       text                         `json:"protocol"`
	Algorithm      text                         `json:"lb_algorithm"`
	Persistence    engine.Optional[Persistence] `json:"session_persistence"`
	Members        []MemberSpec                 `json:"members"`
	Monitor        *MonitorSpec                 `json:"healthmonitor"`
}

// onlyName reports whether the spec does no more than name a pool of the same tree.
func (p PoolSpec) onlyName() bool {
	return !p.Protocol.Set && !p.Algorithm.Set && !p.Persistence.Set && p.Members == nil && p.Monitor == nil
}

// MemberSpec is a member.
type MemberSpec struct {
	CommonSpec
	ProjectID      text `json:"project_id"`
	Address        text `json:"address"`
	Port           num  `json:"protocol_port"`
	Weight         num  `json:"weight"`
	Backup         flag `json:"backup"`
	SubnetID       text `json:"subnet_id"`
	MonitorAddress text `json:"monitor_address"`
	MonitorPort    num  `json:"monitor_port"`
}

// MonitorSpec is a health monitor.
type MonitorSpec struct {
	CommonSpec
	ProjectID      text `json:"project_id"`
	PoolID         text `json:"pool_id"`
	Type           text `json:"type"`
	Delay          num  `json:"delay"`
	Timeout        num  `json:"timeout"`
	MaxRetries     num  `json:"max_retries"`
	MaxRetriesDown num  `json:"max_retries_down"`
	Method         text `json:"http_method"`
	Path           text `json:"url_path"`
	ExpectedCodes  text `json:"expected_codes"`
}
