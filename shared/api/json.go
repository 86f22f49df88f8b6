package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"carillon.example/shared/push"
)

const (
	// maxDepth is how deep JSON may be nested.
	maxDepth = 64
	// maxMembers is how many members an object may have: more than the attributes of
	// a customer (push.MaxAttributes), which is the largest object. An object with
	// more is refused before it costs time.
	maxMembers = 500
)

// CheckJSON returns what is wrong with a text as JSON, under a name (body, line): it
// is not UTF-8, not JSON, has a key twice in an object, more than 500 members in an
// object, more than 64 levels, something after the value, or half a surrogate pair.
func CheckJSON(name string, b []byte) error {
	if !utf8.Valid(b) {
		return errors.New("the " + name + " is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	c := checker{dec: dec, name: name}
	if err := c.value(); err != nil {
		return said(name, err, dec.InputOffset())
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("something stands behind the JSON, at byte %d", dec.InputOffset())
	}
	return pairs(name, b)
}

// pairs finds escapes of half a surrogate pair in valid JSON. They are not
// characters, and the decoder makes the same character of all of them: two customers,
// or two tokens, would become one.
func pairs(name string, b []byte) error {
	for at := 0; at < len(b); at++ {
		if b[at] != '\\' {
			continue
		}
		if r := escaped(b[at:]); !utf16.IsSurrogate(r) {
			at++ // the next character may be a backslash, too
		} else if utf16.DecodeRune(r, escaped(b[at+6:])) == utf8.RuneError {
			return fmt.Errorf("the %s has half a surrogate pair, at byte %d", name, at)
		} else {
			at += 11
		}
	}
	return nil
}

// escaped returns the number of the \u that b begins with, 0 if it does not.
func escaped(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}

// said returns an error of the decoder without the input.
func said(name string, err error, at int64) error {
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("the %s has a number beyond the range of numbers, before byte %d", name, at)
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the %s is not JSON, at byte %d", name, at)
	}
	return err
}

// A checker reads a JSON text. It keeps its place as steps, and writes it as text
// only in an error: the text of a deep place for each of many values would cost far
// more than the input.
type checker struct {
	dec   *json.Decoder
	name  string
	steps []any // the name of a field, or the number of an item
}

// at returns the place of the checker.
func (c *checker) at() string {
	var b strings.Builder
	b.WriteString(c.name)
	for _, step := range c.steps {
		switch step := step.(type) {
		case string:
			b.WriteString("." + push.Truncate(step, 60))
		case int:
			fmt.Fprintf(&b, "[%d]", step)
		}
	}
	return b.String()
}

func (c *checker) value() error {
	t, err := c.dec.Token()
	if err != nil {
		return err
	}
	d, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if len(c.steps) >= maxDepth {
		return fmt.Errorf("it is nested deeper than %d", maxDepth)
	}

	c.steps = append(c.steps, nil)
	if d == '{' {
		err = c.members()
	} else {
		err = c.elements()
	}
	if err != nil {
		return err
	}
	c.steps = c.steps[:len(c.steps)-1]

	_, err = c.dec.Token()
	return err
}

func (c *checker) members() error {
	last := len(c.steps) - 1
	seen := map[string]bool{}
	for c.dec.More() {
		t, err := c.dec.Token()
		if err != nil {
			return err
		}
		key := t.(string) // the decoder returns only strings here
		c.steps[last] = key
		if seen[key] {
			return fmt.Errorf("%s is given twice", c.at())
		}
		if seen[key] = true; len(seen) > maxMembers {
			c.steps[last] = nil
			return fmt.Errorf("%s has more than %d members", c.at(), maxMembers)
		}
		if err := c.value(); err != nil {
			return err
		}
	}

	return nil
}

func (c *checker) elements() error {
	last := len(c.steps) - 1
	for i := 0; c.dec.More(); i++ {
		c.steps[last] = i
		if err := c.value(); err != nil {
			return err
		}
	}
	return nil
}
