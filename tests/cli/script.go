package cli

import (
	"fmt"
	"slices"
	"strings"
)

// Step is one line of a script.
type Step struct {
	Line string // as written
	// Args are the arguments of openstack; $name stands for a variable.
	Args []string
	// Refused: the command shall fail.
	Refused bool
	// Variable takes the command's output, without the newline at its end.
	Variable string
	// Until: the command is repeated until it prints this, and is no part of the transcript. Gone: until it fails.
	Until string
	Gone  bool
}

// ParseScript reads a script. Its lines are
//
//	openstack ARGUMENT...                 a command that succeeds
//	! openstack ARGUMENT...               a command that is refused
//	NAME=$(openstack ARGUMENT...)         its output is $NAME in the lines below
//	until TEXT openstack ARGUMENT...      repeated until it prints the text
//	until gone openstack ARGUMENT...      repeated until it is refused
//
// Arguments are separated by spaces; single quotes hold one together. What shows, lists, creates or issues something is
// asked for JSON unless the line says "-f" itself. Empty lines and those that begin with # are for the reader.
func ParseScript(text string) ([]Step, error) {
	var steps []Step
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		step, err := parseStep(line)
		if err != nil {
			return nil, fmt.Errorf("line %d, %q: %w", number, line, err)
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func parseStep(line string) (Step, error) {
	step := Step{Line: line}
	command := line
	switch name, rest, assigned := strings.Cut(line, "=$("); {
	case strings.HasPrefix(line, "! "):
		step.Refused, command = true, line[2:]
	case strings.HasPrefix(line, "until "):
		step.Until, command, _ = strings.Cut(strings.TrimPrefix(line, "until "), " ")
		step.Gone = step.Until == "gone"
	case assigned && !strings.ContainsRune(name, ' '):
		if !strings.HasSuffix(rest, ")") {
			return step, fmt.Errorf("a closing parenthesis is missing")
		}
		step.Variable, command = name, strings.TrimSuffix(rest, ")")
	}
	words, err := split(command)
	if err != nil {
		return step, err
	}
	if len(words) < 2 || words[0] != "openstack" {
		return step, fmt.Errorf("it is no openstack command")
	}
	step.Args = words[1:]
	if shows(step.Args) && !slices.Contains(step.Args, "-f") {
		step.Args = append(step.Args, "-f", "json")
	}
	return step, nil
}

// shows says whether the command prints something that has formats.
func shows(args []string) bool {
	if strings.Contains(strings.Join(args, " "), "loadbalancer status show") {
		return false // it prints JSON anyway
	}
	for _, word := range args {
		switch word {
		case "show", "list", "create", "issue":
			return true
		}
	}
	return false
}

// split cuts at spaces outside of single quotes.
func split(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	quoted, begun := false, false
	for _, c := range line {
		switch {
		case c == '\'':
			quoted, begun = !quoted, true
		case c == ' ' && !quoted:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	if quoted {
		return nil, fmt.Errorf("a quote is not closed")
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}
