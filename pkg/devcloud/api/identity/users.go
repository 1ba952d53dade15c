package identity

import (
	"net/http"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/identity"
)

// adminOnly refuses what Keystone's policy leaves to the cloud's administrators.
func adminOnly(rule string) api.Handler {
	return func(*api.Request) (int, any, error) { return 0, nil, unauthorizedFor(rule) }
}

func unauthorizedFor(rule string) error {
	return api.Errorf(http.StatusForbidden, "You are not authorized to perform the requested action: %s.", rule)
}

// userProjects are the caller's own projects.
func (s service) userProjects(r *api.Request) (int, any, error) {
	if r.PathValue("user") != r.Caller.UserID {
		return 0, nil, unauthorizedFor("identity:list_user_projects")
	}
	return s.projects(r)
}

// credentials lists the caller's own application credentials, of the name that the query asks for.
func (s service) credentials(r *api.Request) (int, any, error) {
	if r.PathValue("user") != r.Caller.UserID {
		return 0, nil, unauthorizedFor("identity:list_application_credentials")
	}
	list := []any{}
	for _, c := range s.identity.CredentialsOf(r.Caller.UserID) {
		if name := r.URL.Query().Get("name"); name == "" || name == c.Name {
			list = append(list, s.credentialView(r, c))
		}
	}
	return http.StatusOK, map[string]any{
		"application_credentials": list,
		"links":                   map[string]any{"self": r.Base + r.URL.Path, "previous": nil, "next": nil},
	}, nil
}

// createCredential refuses: they come from the configuration. Who logged in with one is told what Keystone would say.
func (s service) createCredential(r *api.Request) (int, any, error) {
	if token, _ := s.identity.Check(r.Header.Get("X-Auth-Token")); token.CredentialID != "" {
		return 0, nil, unauthorizedFor("Using method 'application_credential' is not allowed for managing additional application credentials.")
	}
	return 0, nil, unauthorizedFor("this cloud's application credentials are in its configuration")
}

// credential shows one of the caller's own application credentials, without its secret.
func (s service) credential(r *api.Request) (int, any, error) {
	if r.PathValue("user") != r.Caller.UserID {
		return 0, nil, unauthorizedFor("identity:get_application_credential")
	}
	c, ok := s.identity.Credential(r.PathValue("id"))
	if !ok || c.UserID != r.Caller.UserID {
		return 0, nil, api.Errorf(http.StatusNotFound, "Could not find Application Credential: %s.", r.PathValue("id"))
	}
	return http.StatusOK, map[string]any{"application_credential": s.credentialView(r, c)}, nil
}

func (s service) credentialView(r *api.Request, c identity.ApplicationCredential) map[string]any {
	var expires any
	if !c.Expires.IsZero() {
		expires = c.Expires.UTC().Format("2006-01-02T15:04:05.000000")
	}
	return map[string]any{
		"id": c.ID, "name": c.Name, "description": nil, "user_id": c.UserID, "project_id": c.ProjectID, "system": nil,
		"expires_at": expires, "unrestricted": false, "roles": s.roles(c.UserID),
		"links": map[string]any{"self": r.Base + "/v3/application_credentials/" + c.ID},
	}
}
