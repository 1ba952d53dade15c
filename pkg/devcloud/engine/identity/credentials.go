package identity

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// What is wrong with an application credential that shall be made or used.
var (
	ErrNoCredential  = errors.New("no such application credential")
	ErrDuplicate     = errors.New("the user has an application credential of that name")
	ErrExpired       = errors.New("an application credential must not end before now")
	ErrForeignRole   = errors.New("an application credential cannot have a role that its user does not have")
	ErrConfiguration = errors.New("this application credential is in the cloud's configuration")
)

// CreateCredential makes an application credential. A secret and roles are chosen unless c has them.
func (s *Service) CreateCredential(c ApplicationCredential) (ApplicationCredential, error) {
	own := s.User(c.UserID).Roles
	if len(c.Roles) == 0 {
		c.Roles = own
	}
	if slices.ContainsFunc(c.Roles, func(role string) bool { return !slices.Contains(own, role) }) {
		return c, ErrForeignRole
	}
	if s.expired(c) {
		return c, ErrExpired
	}
	if c.Secret == "" {
		var err error
		if c.Secret, err = random(64); err != nil {
			return c, err
		}
	}
	c.ID = strings.ReplaceAll(uuid.NewString(), "-", "")
	return c, s.engine.Update(func(tx *engine.Tx) error {
		if slices.ContainsFunc(s.credentialsOf(tx, c.UserID), func(other ApplicationCredential) bool { return other.Name == c.Name }) {
			return ErrDuplicate
		}
		s.credentials.Put(tx, c)
		return nil
	})
}

// DeleteCredential removes an application credential of a user; its tokens end with it.
func (s *Service) DeleteCredential(userID, id string) error {
	return s.engine.Update(func(tx *engine.Tx) error {
		c, ok := s.credentials.Get(tx, id)
		if ok && c.UserID == userID {
			s.credentials.Delete(tx, id)
			return nil
		}
		if slices.ContainsFunc(s.opts.Credentials, func(c ApplicationCredential) bool { return c.ID == id && c.UserID == userID }) {
			return ErrConfiguration
		}
		return ErrNoCredential
	})
}

// Credential returns an application credential.
func (s *Service) Credential(id string) (ApplicationCredential, bool) {
	all := s.allCredentials()
	i := slices.IndexFunc(all, func(c ApplicationCredential) bool { return c.ID == id })
	if i < 0 {
		return ApplicationCredential{}, false
	}
	return all[i], true
}

// CredentialsOf are the application credentials of a user, those of the configuration first.
func (s *Service) CredentialsOf(userID string) (all []ApplicationCredential) {
	_ = s.engine.View(func(tx *engine.Tx) error {
		all = s.credentialsOf(tx, userID)
		return nil
	})
	return all
}

func (s *Service) credentialsOf(tx *engine.Tx, userID string) []ApplicationCredential {
	all := slices.Concat(s.opts.Credentials, s.credentials.Where(tx, nil))
	return slices.DeleteFunc(all, func(c ApplicationCredential) bool { return c.UserID != userID })
}

func (s *Service) allCredentials() (all []ApplicationCredential) {
	_ = s.engine.View(func(tx *engine.Tx) error {
		all = slices.Concat(s.opts.Credentials, s.credentials.Where(tx, nil))
		return nil
	})
	return all
}

func (s *Service) byCredential(login Login, t *Token) error {
	for _, c := range s.allCredentials() {
		if !login.Credential.matches(c.ID, c.Name) {
			continue
		}
		if login.Credential.ID == "" {
			if u, ok := s.find(login.User); !ok || u.ID != c.UserID {
				continue
			}
		}
		if !same(c.Secret, login.CredentialSecret) || s.expired(c) {
			return ErrUnauthorized
		}
		if login.Scope != nil || login.Unscoped {
			return ErrScopedCredential
		}
		t.UserID, t.ProjectID, t.CredentialID, t.Expires = c.UserID, c.ProjectID, c.ID, c.Expires
		return nil
	}
	if login.Credential.ID != "" {
		return ErrNoCredential
	}
	return ErrUnauthorized
}

func (s *Service) expired(c ApplicationCredential) bool {
	return !c.Expires.IsZero() && !c.Expires.After(s.engine.Now())
}

// byToken exchanges a token for another one, which ends no later.
func (s *Service) byToken(login Login, t *Token) error {
	old, ok := s.Check(login.Token)
	if !ok {
		return ErrNoToken
	}
	u := s.User(old.UserID)
	t.UserID, t.ProjectID, t.Expires = old.UserID, old.ProjectID, old.Expires
	return s.scope(u, login, t)
}

// scope settles a token's project: the one asked for, none, or the user's default.
func (s *Service) scope(u User, login Login, t *Token) error {
	switch {
	case login.Unscoped:
		t.ProjectID = ""
	case login.Scope != nil:
		for _, p := range s.opts.Projects {
			if login.Scope.matches(p.ID, p.Name) && slices.Contains(u.ProjectIDs, p.ID) {
				t.ProjectID = p.ID
				return nil
			}
		}
		return ErrUnauthorized
	case len(u.ProjectIDs) > 0:
		t.ProjectID = u.ProjectIDs[0]
	}
	return nil
}

// RolesOf are the roles of a token: those of its user, or of its application credential.
func (s *Service) RolesOf(t Token) []string {
	if t.CredentialID != "" {
		if c, ok := s.Credential(t.CredentialID); ok && len(c.Roles) > 0 {
			return c.Roles
		}
	}
	return s.User(t.UserID).Roles
}

// earlier is the earlier of two ends; zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
