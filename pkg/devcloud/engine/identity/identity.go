// Package identity is the embedded cloud's Keystone without its HTTP: who may ask for tokens, and the tokens given out.
// Users and application credentials are configured; tokens are state and survive a restart.
package identity

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// The one domain of the cloud.
const (
	DomainID   = "default"
	DomainName = "Default"
)

// Project owns resources.
type Project struct{ ID, Name string }

// User may ask for tokens by password.
type User struct {
	ID, Name, Password string
	// ProjectIDs are the projects the user may scope to; the first is the default.
	ProjectIDs []string
	Roles      []string
}

// ApplicationCredential may ask for tokens for one project in its user's name.
type ApplicationCredential struct {
	ID, Name, Secret  string
	UserID, ProjectID string
	Expires           time.Time // zero: never
	Description       string
	Roles             []string // empty: its user's
}

// Options configure the service.
type Options struct {
	Projects     []Project
	Users        []User
	Credentials  []ApplicationCredential
	TokenExpires time.Duration // 0: four hours
}

// Token is one token given out.
type Token struct {
	ID           string
	Audit        string
	Method       string // "password" or "application_credential"
	UserID       string
	ProjectID    string
	CredentialID string // for application credentials
	Issued       time.Time
	Expires      time.Time
}

// Service checks credentials and tokens.
type Service struct {
	engine *engine.Engine
	opts   Options
	tokens *engine.Table[Token]
	// credentials are those that users made.
	credentials *engine.Table[ApplicationCredential]
}

// New makes the service.
func New(e *engine.Engine, opts Options) (*Service, error) {
	if opts.TokenExpires == 0 {
		opts.TokenExpires = 4 * time.Hour
	}
	s := &Service{engine: e, opts: opts}
	var err error
	if s.tokens, err = engine.NewTable(e, "tokens", func(t Token) string { return t.ID }); err != nil {
		return nil, err
	}
	s.credentials, err = engine.NewTable(e, "credentials", func(c ApplicationCredential) string { return c.ID })
	return s, err
}

// StableID derives a Keystone-like id (32 hex digits) from a name, so that a configuration need not carry ids.
func StableID(kind, name string) string {
	id := uuid.NewSHA1(uuid.NameSpaceOID, []byte("fairlead-devcloud/"+kind+"/"+name))
	return strings.ReplaceAll(id.String(), "-", "")
}

// ErrUnauthorized is the answer to wrong credentials, whatever is wrong with them.
var ErrUnauthorized = errors.New("the request requires authentication")

// ErrNoToken says that a token to be exchanged is unknown or has ended.
var ErrNoToken = errors.New("no such token")

// ErrScopedCredential says that an application credential is bound to its project and must not ask for a scope.
var ErrScopedCredential = errors.New("application credentials cannot request a scope")

// Reference names a user or project by id, or by name within the default domain.
type Reference struct{ ID, Name string }

func (r Reference) matches(id, name string) bool {
	if r.ID != "" {
		return r.ID == id
	}
	return r.Name != "" && r.Name == name
}

// Login is a request for a token: by password, or by an application credential when CredentialSecret is set.
type Login struct {
	User     Reference
	Password string
	Scope    *Reference // a project; nil takes the user's default
	Unscoped bool       // for no project
	Token    string     // a token to be exchanged

	Credential       Reference // by name: of the User
	CredentialSecret string
	ByCredential     bool
}

// Issue gives out a token.
func (s *Service) Issue(login Login) (Token, error) {
	t := Token{Method: "password"}
	var err error
	switch {
	case login.ByCredential:
		t.Method = "application_credential"
		err = s.byCredential(login, &t)
	case login.Token != "":
		t.Method = "token"
		err = s.byToken(login, &t)
	default:
		err = s.byPassword(login, &t)
	}
	if err != nil {
		return Token{}, err
	}
	if t.ID, err = random(96); err != nil {
		return Token{}, err
	}
	if t.Audit, err = random(16); err != nil {
		return Token{}, err
	}
	t.Issued = s.engine.Now()
	t.Expires = earlier(t.Expires, t.Issued.Add(s.opts.TokenExpires))
	err = s.engine.Update(func(tx *engine.Tx) error {
		for _, old := range s.tokens.Where(tx, func(o Token) bool { return !o.Expires.After(t.Issued) }) {
			s.tokens.Delete(tx, old.ID)
		}
		s.tokens.Put(tx, t)
		return nil
	})
	return t, err
}

func (s *Service) byPassword(login Login, t *Token) error {
	u, ok := s.find(login.User)
	if !ok || !same(u.Password, login.Password) || len(u.ProjectIDs) == 0 {
		return ErrUnauthorized
	}
	t.UserID = u.ID
	return s.scope(u, login, t)
}

func (s *Service) find(ref Reference) (User, bool) {
	for _, u := range s.opts.Users {
		if ref.matches(u.ID, u.Name) {
			return u, true
		}
	}
	return User{}, false
}

// Check returns a valid token: known, not expired, its user and credential still configured.
func (s *Service) Check(id string) (Token, bool) {
	var t Token
	var ok bool
	_ = s.engine.View(func(tx *engine.Tx) error {
		t, ok = s.tokens.Get(tx, id)
		return nil
	})
	if !ok || !t.Expires.After(s.engine.Now()) {
		return Token{}, false
	}
	if _, known := s.find(Reference{ID: t.UserID}); !known {
		return Token{}, false
	}
	if t.CredentialID != "" {
		if c, known := s.Credential(t.CredentialID); !known || s.expired(c) {
			return Token{}, false
		}
	}
	return t, true
}

// Revoke ends a token; an unknown one is no error.
func (s *Service) Revoke(id string) error {
	return s.engine.Update(func(tx *engine.Tx) error {
		s.tokens.Delete(tx, id)
		return nil
	})
}

// RevokeAll ends every token given out.
func (s *Service) RevokeAll() error {
	return s.engine.Update(func(tx *engine.Tx) error {
		for _, t := range s.tokens.Where(tx, nil) {
			s.tokens.Delete(tx, t.ID)
		}
		return nil
	})
}

// User returns a configured user.
func (s *Service) User(id string) User {
	u, _ := s.find(Reference{ID: id})
	return u
}

// Project returns a configured project.
func (s *Service) Project(id string) Project {
	for _, p := range s.opts.Projects {
		if p.ID == id {
			return p
		}
	}
	return Project{ID: id}
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func random(n int) (string, error) {
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("random bytes for a token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}
