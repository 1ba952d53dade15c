package engine

import (
	"time"

	"github.com/google/uuid"
)

// The kinds of safety violations: what a real cloud would answer with lost data.
const (
	DetachInUse      = "detach-in-use"     // a detach found the device open or mounted
	SecondAttachment = "second-attachment" // a volume that is not multiattach was asked onto a second server
	DeleteAttached   = "delete-attached"   // deletion was asked for a volume with an attachment
)

// Violation is one request or moment that endangered data. Tests assert that there is none.
type Violation struct {
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Object string    `json:"object"` // the volume's id
	Detail string    `json:"detail"`
}

// Violate records a safety violation, also if the transaction then fails: a refused request was still made.
func (e *Engine) Violate(tx *Tx, kind, object, detail string) {
	tx.seen = append(tx.seen, Violation{ID: uuid.NewString(), At: e.Now(), Kind: kind, Object: object, Detail: detail})
}

// Violations lists the safety violations seen so far, oldest first.
func (e *Engine) Violations() []Violation {
	var all []Violation
	_ = e.View(func(tx *Tx) error {
		all = e.violations.Where(tx, nil)
		return nil
	})
	return all
}
