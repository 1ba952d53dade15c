// Package api is the HTTP core that all services of the embedded cloud share. A service is a Dialect (how it names its
// errors, request ids and versions) and a table of routes; a route's handler only reads the Request and returns a
// status, a body and an error:
//
//	s := api.NewService(core, api.Network)
//	s.Handle("GET /v2.0/networks/{id}", func(r *api.Request) (int, any, error) {
//		n, ok := networks.Get(r.PathValue("id"))
//		if !ok {
//			return 0, nil, engine.RefuseAs(engine.NotFound, "NetworkNotFound", "Network %s could not be found.", id)
//		}
//		return http.StatusOK, map[string]any{"network": view(n)}, nil
//	})
//	s.Public("GET /{$}", versions) // no token asked
//	http.Handle("/network/", http.StripPrefix("/network", s))
//
// Everything else wraps the handler, in this order: request id, call log, injected faults, token, microversion, error
// writing. A nil body writes none. An *engine.Error gets the dialect's status for its reason; an *Error its own status;
// any other error is a 500 and is logged.
package api
