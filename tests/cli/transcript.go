package cli

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Record is a step with what came of it, in normalized form.
type Record struct {
	Line   string
	Code   int
	Output any // JSON, or text, or nil
	Errors string
}

// String is the record as the transcript shows it.
func (r Record) String() string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "$ %s\n", r.Line)
	if r.Code != 0 {
		_, _ = fmt.Fprintf(&b, "exit %d\n", r.Code)
	}
	for line := range strings.Lines(r.Errors) {
		_, _ = fmt.Fprintf(&b, "stderr: %s\n", strings.TrimRight(line, "\n"))
	}
	if r.Output != nil {
		_, _ = fmt.Fprintln(&b, render(r.Output))
	}
	return b.String()
}

// Transcript is the text of all records.
func Transcript(records []Record) string {
	var b strings.Builder
	for _, r := range records {
		b.WriteString(r.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// ParseTranscript reads what Transcript wrote.
func ParseTranscript(text string) ([]Record, error) {
	var records []Record
	var output strings.Builder
	finish := func() error {
		if s := strings.TrimSpace(output.String()); s != "" {
			d := json.NewDecoder(strings.NewReader(s))
			d.UseNumber()
			if err := d.Decode(&records[len(records)-1].Output); err != nil {
				return fmt.Errorf("%s: %w", records[len(records)-1].Line, err)
			}
		}
		output.Reset()
		return nil
	}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "$ "); ok {
			if err := finish(); err != nil {
				return nil, err
			}
			records = append(records, Record{Line: strings.TrimSpace(rest)})
			continue
		}
		if len(records) == 0 {
			continue // what stands above the first record is for the reader
		}
		r := &records[len(records)-1]
		if rest, ok := strings.CutPrefix(line, "exit "); ok {
			code, err := strconv.Atoi(strings.TrimSpace(rest))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.Line, err)
			}
			r.Code = code
		} else if rest, ok := strings.CutPrefix(line, "stderr: "); ok {
			r.Errors = strings.TrimPrefix(r.Errors+"\n"+strings.TrimRight(rest, "\n"), "\n")
		} else {
			output.WriteString(line)
		}
	}
	return records, finish()
}
