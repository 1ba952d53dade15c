// Package engine keeps the embedded cloud's state: tables changed in transactions, and tasks that carry work on after
// the answer was given. Both survive kill -9. It knows nothing of HTTP, disks or sockets.
//
// A request handler changes tables and schedules tasks in one Update; a task does the slow or outside part (files,
// loop devices, sockets) without the lock and then records the outcome in an Update of its own. A task that was
// running when the process died runs again: its outside effects must be idempotent.
package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	"k8s.io/utils/clock"
)

// Options configure an Engine. The zero value is an in-memory engine on the real clock with no delays.
type Options struct {
	// Path is the state file; empty keeps the state in memory only.
	Path string
	// Clock is the time that tasks are due by; nil is the real one.
	Clock clock.WithTicker
	// Times says how long each kind of task takes.
	Times Times
}

// Engine is the state of one embedded cloud.
type Engine struct {
	clock clock.WithTicker
	db    *bbolt.DB

	mu     sync.RWMutex
	tables map[string]table
	times  Times

	tasks      *Table[Task]
	violations *Table[Violation]
	handlers   map[string]Handler
	wake       chan struct{}
}

// New opens the state. Create all tables and register all handlers before Run.
func New(opts Options) (*Engine, error) {
	e := &Engine{
		clock:    opts.Clock,
		times:    opts.Times,
		tables:   map[string]table{},
		handlers: map[string]Handler{},
		wake:     make(chan struct{}, 1),
	}
	if e.clock == nil {
		e.clock = clock.RealClock{}
	}
	if opts.Path != "" {
		// NoSync: the page cache outlives the process, which is all that surviving kill -9 takes.
		db, err := bbolt.Open(opts.Path, 0o600, &bbolt.Options{Timeout: 5 * time.Second, NoSync: true, NoFreelistSync: true})
		if err != nil {
			return nil, fmt.Errorf("open state file %s: %w", opts.Path, err)
		}
		e.db = db
	}
	var err error
	if e.tasks, err = NewTable(e, "tasks", func(t Task) string { return t.ID }); err != nil {
		return nil, err
	}
	if e.violations, err = NewTable(e, "violations", func(v Violation) string { return v.ID }); err != nil {
		return nil, err
	}
	return e, nil
}

// Close releases the state file. Call it after Run has returned.
func (e *Engine) Close() error {
	if e.db == nil {
		return nil
	}
	return e.db.Close()
}

// Now is the engine's time.
func (e *Engine) Now() time.Time { return e.clock.Now().UTC() }

// Clock is the engine's clock, for those who wait on it.
func (e *Engine) Clock() clock.WithTicker { return e.clock }

// Tx is one transaction over all tables. It is valid only inside the function it was given to.
type Tx struct {
	e     *Engine
	write bool
	undo  []func()
	dirty map[dirtyKey]struct{}
	tasks bool // tasks were added or removed
	seen  []Violation
}

type dirtyKey struct{ table, id string }

// View runs fn with a consistent picture of all tables.
func (e *Engine) View(fn func(tx *Tx) error) error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return fn(&Tx{e: e})
}

// Update runs fn and makes its changes durable together; if fn fails, none of them happened.
// fn must do no I/O: the whole cloud waits for it. Only safety violations are kept whether or not fn fails.
func (e *Engine) Update(fn func(tx *Tx) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	tx := e.begin()
	returned := false
	defer func() {
		if !returned { // it panicked, and net/http goes on with the next request
			tx.rollback()
		}
	}()
	err := fn(tx)
	returned = true
	err = e.commit(tx, err)
	if err == nil && tx.tasks {
		e.kick()
	}
	if len(tx.seen) > 0 {
		witness := e.begin()
		for _, v := range tx.seen {
			e.violations.Put(witness, v)
		}
		err = errors.Join(err, e.commit(witness, nil))
	}
	return err
}

func (e *Engine) begin() *Tx { return &Tx{e: e, write: true, dirty: map[dirtyKey]struct{}{}} }

// commit makes the transaction durable, or takes it back if err says so or saving fails.
func (e *Engine) commit(tx *Tx, err error) error {
	if err == nil {
		err = e.persist(tx)
	}
	if err != nil {
		tx.rollback()
	}
	return err
}

func (tx *Tx) rollback() {
	for i := len(tx.undo) - 1; i >= 0; i-- {
		tx.undo[i]()
	}
}

func (e *Engine) persist(tx *Tx) error {
	if e.db == nil || len(tx.dirty) == 0 {
		return nil
	}
	return e.db.Update(func(btx *bbolt.Tx) error {
		for k := range tx.dirty {
			bucket := btx.Bucket([]byte(k.table))
			value, ok, err := e.tables[k.table].encode(k.id)
			if err != nil {
				return err
			}
			if !ok {
				err = bucket.Delete([]byte(k.id))
			} else {
				err = bucket.Put([]byte(k.id), value)
			}
			if err != nil {
				return fmt.Errorf("save %s %s: %w", k.table, k.id, err)
			}
		}
		return nil
	})
}

func (e *Engine) kick() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Run executes tasks as they fall due until ctx ends, and returns when the last running task has returned.
func (e *Engine) Run(ctx context.Context) error {
	r := newRunner(e)
	defer r.wait()
	for {
		next := r.startDue(ctx)
		if next == 0 {
			next = time.Hour
		}
		timer := e.clock.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-e.wake:
		case <-timer.C():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}
