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
	// maxMembers is how many members an object may have. The largest object of the API
	// is that of a customer's attributes (push.MaxAttributes), which is smaller. A larger
	// object is refused before it costs time.
	maxMembers = 500
)

// CheckJSON checks a text that has to be JSON. name is what the error calls it (body,
// line). These are errors: a text that is not UTF-8 or not JSON, a key that occurs twice
// in an object, an object with more than 500 members, more than 64 levels, text after
// the value, and half a surrogate pair. An error does not repeat values.
func CheckJSON(name string, b []byte) error {
	if !utf8.Valid(b) {
		return errors.New("the " + name + " is not UTF-8")
	}

	dec := json.NewDecoder(bytes.NewReader(b))
	c := checker{dec: dec, name: name}
	if err := c.checkValue(); err != nil {
		return describeError(name, err, dec.InputOffset())
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("there is text after the JSON, at byte %d", dec.InputOffset())
	}
	return checkSurrogates(name, b)
}

// checkSurrogates refuses escapes of half a surrogate pair in valid JSON. Half a pair is
// not a character, and the decoder replaces each with the same character: two customers,
// or two tokens, would become one.
func checkSurrogates(name string, b []byte) error {
	for at := 0; at < len(b); at++ {
		if b[at] != '\\' {
			continue
		}
		if r := parseEscape(b[at:]); !utf16.IsSurrogate(r) {
			at++ // skip the escaped character, which may be a backslash, too
		} else if utf16.DecodeRune(r, parseEscape(b[at+6:])) == utf8.RuneError {
			return fmt.Errorf("the %s has half a surrogate pair, at byte %d", name, at)
		} else {
			at += 11 // the rest of both escapes
		}
	}
	return nil
}

// parseEscape returns the code unit of the escape \uXXXX at the beginning of b, and 0 if
// b does not begin with one.
func parseEscape(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}

// describeError replaces an error of the decoder, whose text repeats input, by one that
// names only the offset. It returns errors of the checker as they are.
func describeError(name string, err error, at int64) error {
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("the %s has a number beyond the range of numbers, before byte %d", name, at)
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the %s is not JSON, at byte %d", name, at)
	}
	return err
}

// A checker reads a JSON text. It stores its place as steps, and writes the place as
// text only in an error: to write a deep place for each of many values would cost far
// more than to read the input.
type checker struct {
	dec   *json.Decoder
	name  string
	steps []any // the name of a field, or the number of an item
}

// currentPlace returns the place of the checker as text, as in body.audience.customers[3].
func (c *checker) currentPlace() string {
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

// checkValue reads one value, with everything in it.
func (c *checker) checkValue() error {
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
		err = c.checkMembers()
	} else {
		err = c.checkElements()
	}
	if err != nil {
		return err
	}
	c.steps = c.steps[:len(c.steps)-1]

	_, err = c.dec.Token()
	return err
}

// checkMembers reads the members of an object up to its closing brace.
func (c *checker) checkMembers() error {
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
			return fmt.Errorf("%s is given twice", c.currentPlace())
		}
		if seen[key] = true; len(seen) > maxMembers {
			c.steps[last] = nil
			return fmt.Errorf("%s has more than %d members", c.currentPlace(), maxMembers)
		}
		if err := c.checkValue(); err != nil {
			return err
		}
	}

	return nil
}

// checkElements reads the elements of an array up to its closing bracket.
func (c *checker) checkElements() error {
	last := len(c.steps) - 1
	for i := 0; c.dec.More(); i++ {
		c.steps[last] = i
		if err := c.checkValue(); err != nil {
			return err
		}
	}
	return nil
}
