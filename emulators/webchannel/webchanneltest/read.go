// Package webchanneltest reads WebChannel as clients do, for the tests of servers.
package webchanneltest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// ReadPart reads one part of a response: a length in UTF-16 code units, the end of the line,
// and JSON of this length. The error is io.EOF at the end of the response.
func ReadPart(r *bufio.Reader) (out any, err error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	length, err := strconv.Atoi(strings.TrimSuffix(line, "\n"))
	if err != nil {
		return nil, fmt.Errorf("the length of a part is %q", line)
	}

	var text strings.Builder
	for n := 0; n < length; {
		char, _, err := r.ReadRune()
		if err != nil {
			return nil, fmt.Errorf("a part ended after %d of %d characters: %w", n, length, err)
		}
		text.WriteRune(char)
		n += utf16.RuneLen(char)
	}
	if err := json.Unmarshal([]byte(text.String()), &out); err != nil {
		return nil, fmt.Errorf("the part %q: %w", text.String(), err)
	}
	return out, nil
}

// At returns what is at a path of names and indexes in JSON, or nil.
func At(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			object, _ := v.(map[string]any)
			v = object[p]
		case int:
			list, _ := v.([]any)
			if p >= len(list) {
				return nil
			}
			v = list[p]
		}
	}
	return v
}
