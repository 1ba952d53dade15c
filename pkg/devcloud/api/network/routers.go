package network

import (
	"net/http"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api/collection"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

// gateway is external_gateway_info. The address is the cloud's choice.
type gateway struct {
	NetworkID string `json:"network_id"`
	SNAT      *bool  `json:"enable_snat"`
}

func (g *gateway) spec() *network.Gateway {
	if g == nil {
		return nil
	}
	return &network.Gateway{NetworkID: g.NetworkID, NoSNAT: !deref(g.SNAT, true)}
}

func (s *service) routers() resource[network.Router] {
	return resource[network.Router]{
		member: "router", plural: "routers", path: "routers", tagged: true,
		all: s.network.Routers, get: s.network.Router, remove: s.network.DeleteRouter,
		std:  func(r network.Router) network.Standard { return r.Standard },
		view: s.routerView,
		create: func(tx *engine.Tx, r *api.Request) (network.Router, error) {
			var body struct {
				naming
				owner
				Up      *bool    `json:"admin_state_up"`
				Gateway *gateway `json:"external_gateway_info"`
			}
			if err := decode(r, "router", &body); err != nil {
				return network.Router{}, err
			}
			p, err := project(r, body.ProjectID, body.TenantID)
			if err != nil {
				return network.Router{}, err
			}
			return s.network.CreateRouter(tx, network.RouterSpec{
				ProjectID: p, Name: deref(body.Name, ""), Description: deref(body.Description, ""),
				Gateway: body.Gateway.spec(), Down: !deref(body.Up, true),
			})
		},
		update: func(tx *engine.Tx, r *api.Request, id string) (network.Router, error) {
			var body struct {
				naming
				Up      *bool                    `json:"admin_state_up"`
				Routes  *[]network.Route         `json:"routes"`
				Gateway engine.Optional[gateway] `json:"external_gateway_info"`
			}
			if err := decode(r, "router", &body); err != nil {
				return network.Router{}, err
			}
			c := network.RouterChange{Naming: body.change(), Up: body.Up, Routes: body.Routes}
			if body.Gateway.Set {
				g := body.Gateway.Or(gateway{}, gateway{})
				c.Gateway = g.spec()
			}
			return s.network.UpdateRouter(tx, id, c)
		},
	}
}

func (s *service) routerView(tx *engine.Tx, r network.Router) collection.Item {
	var external any
	if r.ExternalNetworkID != "" {
		ips := []map[string]string{}
		if p, err := s.network.Port(tx, r.GatewayPortID); err == nil {
			for _, ip := range p.FixedIPs {
				ips = append(ips, map[string]string{"subnet_id": ip.SubnetID, "ip_address": ip.Address.String()})
			}
		}
		external = map[string]any{"network_id": r.ExternalNetworkID, "enable_snat": !r.NoSNAT, "external_fixed_ips": ips}
	}
	return standard(r.Standard, collection.Item{
		"admin_state_up": !r.Down, "status": "ACTIVE", "external_gateway_info": external, "routes": orEmpty(r.Routes),
		"availability_zones": []string{}, "availability_zone_hints": []string{},
	})
}

// serveRouterActions adds the routes for interfaces and for changing single routes.
func (s *service) serveRouterActions() {
	base := "PUT /v2.0/routers/{id}/"
	s.Handle(base+"add_router_interface", s.routerInterface(s.addInterface))
	s.Handle(base+"remove_router_interface", s.routerInterface(s.removeInterface))
	s.Handle(base+"add_extraroutes", s.extraRoutes(s.network.AddRoutes))
	s.Handle(base+"remove_extraroutes", s.extraRoutes(s.network.RemoveRoutes))
}

// interfaceBody names a router's interface by its subnet or by its port.
type interfaceBody struct {
	SubnetID string `json:"subnet_id"`
	PortID   string `json:"port_id"`
}

// check refuses what names nothing, too much, or no id.
func (b interfaceBody) check(r *api.Request) error {
	bad := func(format string, args ...any) error {
		return engine.RefuseAs(engine.Invalid, "BadRequest", "Bad router request: "+format, args...)
	}
	switch {
	case b == interfaceBody{}:
		return bad("Either subnet_id or port_id must be specified.")
	case b.SubnetID != "" && b.PortID != "" && strings.HasSuffix(r.URL.Path, "/add_router_interface"):
		return bad("Cannot specify both subnet-id and port-id.")
	}
	for _, id := range []string{b.SubnetID, b.PortID} {
		if id != "" && !uuidForm.MatchString(id) {
			return bad("'%s' is not a valid UUID.", id)
		}
	}
	return nil
}

func (s *service) addInterface(tx *engine.Tx, routerID string, body interfaceBody) (network.Port, error) {
	if body.PortID != "" {
		return s.network.AddInterfacePort(tx, routerID, body.PortID)
	}
	return s.network.AddInterface(tx, routerID, body.SubnetID)
}

func (s *service) removeInterface(tx *engine.Tx, routerID string, body interfaceBody) (network.Port, error) {
	if body.PortID != "" {
		p, err := s.network.Port(tx, body.PortID)
		if err != nil || p.DeviceID != routerID || len(p.FixedIPs) == 0 {
			return p, engine.RefuseAs(engine.NotFound, "RouterInterfaceNotFound", "Router %s does not have an interface with id %s", routerID, body.PortID)
		}
		if body.SubnetID != "" && body.SubnetID != p.FixedIPs[0].SubnetID {
			return p, engine.RefuseAs(engine.Invalid, "SubnetMismatchForPort", "Subnet on port %s does not match the requested subnet %s.", p.ID, body.SubnetID)
		}
		body.SubnetID = p.FixedIPs[0].SubnetID
	}
	return s.network.RemoveInterface(tx, routerID, body.SubnetID)
}

func (s *service) routerInterface(change func(*engine.Tx, string, interfaceBody) (network.Port, error)) api.Handler {
	return func(r *api.Request) (int, any, error) {
		var body interfaceBody
		if err := r.Decode(&body); err != nil {
			return 0, nil, err
		}
		if err := body.check(r); err != nil {
			return 0, nil, err
		}
		var answer map[string]any
		err := s.e.Update(func(tx *engine.Tx) error {
			router, err := s.routers().owned(tx, r, r.PathValue("id"))
			if err != nil {
				return err
			}
			if err := s.seenInterface(tx, r, body); err != nil {
				return err
			}
			p, err := change(tx, router.ID, body)
			if err != nil {
				return err
			}
			subnet := p.FixedIPs[0].SubnetID
			answer = map[string]any{
				"id": router.ID, "tenant_id": router.ProjectID, "network_id": p.NetworkID,
				"port_id": p.ID, "subnet_id": subnet, "subnet_ids": []string{subnet},
			}
			return nil
		})
		return http.StatusOK, answer, err
	}
}

// seenInterface checks that the caller may know what the request names.
func (s *service) seenInterface(tx *engine.Tx, r *api.Request, body interfaceBody) error {
	if body.PortID != "" {
		if strings.HasSuffix(r.URL.Path, "/remove_router_interface") {
			return nil // Neutron says that it is no interface
		}
		_, err := s.ports().seen(tx, r, body.PortID)
		return err
	}
	_, err := s.subnets().seen(tx, r, body.SubnetID)
	return err
}

func (s *service) extraRoutes(change func(tx *engine.Tx, routerID string, routes []network.Route) (network.Router, error)) api.Handler {
	return func(r *api.Request) (int, any, error) {
		var body struct {
			Routes []network.Route `json:"routes"`
		}
		if err := decode(r, "router", &body); err != nil {
			return 0, nil, err
		}
		var item collection.Item
		err := s.e.Update(func(tx *engine.Tx) error {
			router, err := s.routers().owned(tx, r, r.PathValue("id"))
			if err != nil {
				return err
			}
			if router, err = change(tx, router.ID, body.Routes); err == nil {
				item = s.routerView(tx, router)
				item["gw_port_id"] = null(router.GatewayPortID) // only here
			}
			return err
		})
		return http.StatusOK, map[string]any{"router": item}, err
	}
}
