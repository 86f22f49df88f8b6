package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"carillon.example/shared/push"
)

// maxDepth is how deep JSON may be nested.
const maxDepth = 64

// CheckJSON says what is wrong with a text as JSON, by the name it is to have
// (body, line): not UTF-8, not JSON, a key twice in one object, nested deeper
// than 64, something behind it, half a surrogate pair.
func CheckJSON(name string, b []byte) error {
	if !utf8.Valid(b) {
		return errors.New("the " + name + " is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := value(dec, name, 0); err != nil {
		return said(name, err, dec.InputOffset())
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("something stands behind the JSON, at byte %d", dec.InputOffset())
	}
	return pairs(name, b)
}

// pairs finds escapes of half a surrogate pair in what is JSON otherwise. They
// are no characters, and the decoder makes the same one of them all: two
// customers, or two tokens, would become one.
func pairs(name string, b []byte) error {
	for at := 0; at < len(b); at++ {
		if b[at] != '\\' {
			continue
		}
		if r := escaped(b[at:]); !utf16.IsSurrogate(r) {
			at++ // what is behind it may be a backslash, too
		} else if utf16.DecodeRune(r, escaped(b[at+6:])) == utf8.RuneError {
			return fmt.Errorf("the %s has half a surrogate pair, at byte %d", name, at)
		} else {
			at += 11
		}
	}
	return nil
}

// escaped is the number of the \u with which b begins, 0 where it does not.
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

// said puts what the decoder found without repeating what was sent in.
func said(name string, err error, at int64) error {
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("the %s has a number beyond the range of numbers, before byte %d", name, at)
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the %s is not JSON, at byte %d", name, at)
	}
	return err
}

func value(dec *json.Decoder, at string, depth int) error {
	t, err := dec.Token()
	if err != nil {
		return err
	}
	d, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth >= maxDepth {
		return fmt.Errorf("it is nested deeper than %d", maxDepth)
	}
	if d == '{' {
		err = members(dec, at, depth)
	} else {
		err = elements(dec, at, depth)
	}
	if err != nil {
		return err
	}
	_, err = dec.Token()
	return err
}

func members(dec *json.Decoder, at string, depth int) error {
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		key := t.(string) // the decoder takes no other
		next := at + "." + push.Short(key, 60)
		if seen[key] {
			return fmt.Errorf("%s stands twice", next)
		}
		seen[key] = true
		if err := value(dec, next, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func elements(dec *json.Decoder, at string, depth int) error {
	for i := 0; dec.More(); i++ {
		if err := value(dec, fmt.Sprintf("%s[%d]", at, i), depth+1); err != nil {
			return err
		}
	}
	return nil
}
