package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/bbolt"
)

// table is what the engine needs of a Table whatever it holds.
type table interface {
	encode(id string) (value []byte, ok bool, err error)
}

// Table is a durable collection of T by id. T must marshal to JSON and back unchanged.
// Values are handed out as they are kept: replace their maps and slices, never write into them.
type Table[T any] struct {
	name string
	key  func(T) string
	rows map[string]row[T]
	seq  uint64
}

type row[T any] struct {
	Seq   uint64 // order of insertion
	Value T
}

// NewTable makes or loads the table of that name.
func NewTable[T any](e *Engine, name string, key func(T) string) (*Table[T], error) {
	t := &Table[T]{name: name, key: key, rows: map[string]row[T]{}}
	if _, ok := e.tables[name]; ok {
		return nil, fmt.Errorf("table %s exists", name)
	}
	e.tables[name] = t
	if e.db == nil {
		return t, nil
	}
	return t, e.db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists([]byte(name))
		if err != nil {
			return fmt.Errorf("open table %s: %w", name, err)
		}
		return bucket.ForEach(func(k, v []byte) error {
			var r row[T]
			if err := json.Unmarshal(v, &r); err != nil {
				return fmt.Errorf("load %s %s: %w", name, k, err)
			}
			t.rows[string(k)] = r
			t.seq = max(t.seq, r.Seq)
			return nil
		})
	})
}

func (t *Table[T]) encode(id string) ([]byte, bool, error) {
	r, ok := t.rows[id]
	if !ok {
		return nil, false, nil
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil, false, fmt.Errorf("encode %s %s: %w", t.name, id, err)
	}
	return b, true, nil
}

// Get returns the row with that id.
func (t *Table[T]) Get(_ *Tx, id string) (T, bool) {
	r, ok := t.rows[id]
	return r.Value, ok
}

// Put inserts or replaces a row.
func (t *Table[T]) Put(tx *Tx, v T) {
	id := t.key(v)
	old, existed := t.rows[id]
	r := row[T]{Seq: old.Seq, Value: v}
	if !existed {
		t.seq++
		r.Seq = t.seq
	}
	tx.change(t.name, id, func() {
		if existed {
			t.rows[id] = old
		} else {
			delete(t.rows, id)
		}
	})
	t.rows[id] = r
}

// Delete removes a row; an absent one is no error.
func (t *Table[T]) Delete(tx *Tx, id string) {
	old, existed := t.rows[id]
	if !existed {
		return
	}
	tx.change(t.name, id, func() { t.rows[id] = old })
	delete(t.rows, id)
}

// Len is the number of rows.
func (t *Table[T]) Len(_ *Tx) int { return len(t.rows) }

// Where returns the rows that match, oldest first; a nil match means all.
func (t *Table[T]) Where(_ *Tx, match func(T) bool) []T {
	var found []row[T]
	for _, r := range t.rows {
		if match == nil || match(r.Value) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b row[T]) int {
		if a.Seq != b.Seq {
			if a.Seq < b.Seq {
				return -1
			}
			return 1
		}
		return strings.Compare(t.key(a.Value), t.key(b.Value))
	})
	values := make([]T, len(found))
	for i, r := range found {
		values[i] = r.Value
	}
	return values
}

// change notes a row to be saved at commit, and how to take the change back.
func (tx *Tx) change(table, id string, undo func()) {
	if !tx.write {
		panic("engine: write in a View") //nolint:forbidigo // a programming error, never input
	}
	tx.dirty[dirtyKey{table, id}] = struct{}{}
	tx.undo = append(tx.undo, undo)
	if table == "tasks" {
		tx.tasks = true
	}
}
