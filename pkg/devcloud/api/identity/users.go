package identity

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

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

// changesCredentials refuses other users, and who logged in with an application credential.
func (s service) changesCredentials(r *api.Request, rule string) error {
	if r.PathValue("user") != r.Caller.UserID {
		return unauthorizedFor(rule)
	}
	if token, _ := s.identity.Check(r.Header.Get("X-Auth-Token")); token.CredentialID != "" {
		return unauthorizedFor("Using method 'application_credential' is not allowed for managing additional application credentials.")
	}
	return nil
}

func noCredential(id string) error {
	return api.Errorf(http.StatusNotFound, "Could not find Application Credential: %s.", id)
}

// createCredential makes an application credential for the caller's project. Only this answer has the secret.
func (s service) createCredential(r *api.Request) (int, any, error) {
	if err := s.changesCredentials(r, "identity:create_application_credential"); err != nil {
		return 0, nil, err
	}
	var body struct {
		Credential struct {
			Name        string                      `json:"name"`
			Description string                      `json:"description"`
			Secret      string                      `json:"secret"`
			Expires     string                      `json:"expires_at"`
			Roles       []struct{ Name, ID string } `json:"roles"`
		} `json:"application_credential"`
	}
	if err := r.Decode(&body); err != nil {
		return 0, nil, err
	}
	wanted := body.Credential
	if wanted.Name == "" {
		return 0, nil, api.BadRequest("'name' is a required property")
	}
	c := identity.ApplicationCredential{
		Name: wanted.Name, Description: wanted.Description, Secret: wanted.Secret, UserID: r.Caller.UserID, ProjectID: r.Caller.ProjectID,
	}
	for _, role := range wanted.Roles {
		c.Roles = append(c.Roles, s.roleName(r, role.Name, role.ID))
	}
	var err error
	if wanted.Expires != "" {
		if c.Expires, err = time.Parse("2006-01-02T15:04:05.999999", strings.TrimSuffix(wanted.Expires, "Z")); err != nil {
			return 0, nil, api.BadRequest("Invalid input for field 'expires_at': %v", err)
		}
	}
	c, err = s.identity.CreateCredential(c)
	switch {
	case errors.Is(err, identity.ErrDuplicate):
		return 0, nil, api.Errorf(http.StatusConflict, "Conflict occurred attempting to store application_credential - Duplicate entry found with name %s.", c.Name)
	case errors.Is(err, identity.ErrExpired):
		return 0, nil, api.BadRequest("The 'expires_at' must not be before now.")
	case errors.Is(err, identity.ErrForeignRole):
		return 0, nil, api.BadRequest("Invalid application credential: Cannot create an application credential with unassigned role")
	case err != nil:
		return 0, nil, err
	}
	view := s.credentialView(r, c)
	view["secret"] = c.Secret
	return http.StatusCreated, map[string]any{"application_credential": view}, nil
}

// roleName is a role by name, or by the id that it has here.
func (s service) roleName(r *api.Request, name, id string) string {
	for _, own := range r.Caller.Roles {
		if name == "" && identity.StableID("role", own) == id {
			return own
		}
	}
	return name
}

func (s service) deleteCredential(r *api.Request) (int, any, error) {
	if err := s.changesCredentials(r, "identity:delete_application_credential"); err != nil {
		return 0, nil, err
	}
	switch err := s.identity.DeleteCredential(r.Caller.UserID, r.PathValue("id")); {
	case errors.Is(err, identity.ErrNoCredential):
		return 0, nil, noCredential(r.PathValue("id"))
	case errors.Is(err, identity.ErrConfiguration):
		return 0, nil, unauthorizedFor(err.Error())
	default:
		return http.StatusNoContent, nil, err
	}
}

// user shows the caller.
func (s service) user(r *api.Request) (int, any, error) {
	if r.PathValue("user") != r.Caller.UserID {
		return 0, nil, unauthorizedFor("identity:get_user")
	}
	u := s.identity.User(r.Caller.UserID)
	view := map[string]any{
		"id": u.ID, "name": u.Name, "domain_id": identity.DomainID, "enabled": true, "password_expires_at": nil,
		"options": map[string]any{}, "links": map[string]any{"self": r.Base + "/v3/users/" + u.ID},
	}
	if len(u.ProjectIDs) > 0 {
		view["default_project_id"] = u.ProjectIDs[0]
	}
	return http.StatusOK, map[string]any{"user": view}, nil
}

// project shows one of the caller's own projects.
func (s service) project(r *api.Request) (int, any, error) {
	if !slices.Contains(s.identity.User(r.Caller.UserID).ProjectIDs, r.PathValue("project")) {
		return 0, nil, unauthorizedFor("identity:get_project")
	}
	return http.StatusOK, map[string]any{"project": s.projectView(r, r.PathValue("project"))}, nil
}

func (s service) projectView(r *api.Request, id string) map[string]any {
	return map[string]any{
		"id": id, "name": s.identity.Project(id).Name, "domain_id": identity.DomainID, "parent_id": identity.DomainID, "enabled": true,
		"is_domain": false, "description": "", "tags": []string{}, "options": map[string]any{}, "links": map[string]any{"self": r.Base + "/v3/projects/" + id},
	}
}

// credential shows one of the caller's own application credentials, without its secret.
func (s service) credential(r *api.Request) (int, any, error) {
	if r.PathValue("user") != r.Caller.UserID {
		return 0, nil, unauthorizedFor("identity:get_application_credential")
	}
	c, ok := s.identity.Credential(r.PathValue("id"))
	if !ok || c.UserID != r.Caller.UserID {
		return 0, nil, noCredential(r.PathValue("id"))
	}
	return http.StatusOK, map[string]any{"application_credential": s.credentialView(r, c)}, nil
}

func (s service) credentialView(r *api.Request, c identity.ApplicationCredential) map[string]any {
	var expires any
	if !c.Expires.IsZero() {
		expires = c.Expires.UTC().Format("2006-01-02T15:04:05.000000")
	}
	var description any
	if c.Description != "" {
		description = c.Description
	}
	names := c.Roles
	if len(names) == 0 {
		names = s.identity.User(c.UserID).Roles
	}
	list := roles(names)
	for _, role := range list {
		role := role.(map[string]any) //nolint:forcetypeassert // made by roles
		role["domain_id"], role["description"], role["options"] = nil, nil, map[string]any{"immutable": true}
	}
	return map[string]any{
		"id": c.ID, "name": c.Name, "description": description, "user_id": c.UserID, "project_id": c.ProjectID, "system": nil,
		"expires_at": expires, "unrestricted": nil, "roles": list,
		"links": map[string]any{"self": r.Base + "/v3/application_credentials/" + c.ID},
	}
}
