package adopt

import (
	"context"
	"fmt"
	"slices"

	"cloud.google.com/go/firestore"
)

// pageSize is how many documents one query reads.
const pageSize = 1000

// fields says where a Firestore database has the tokens.
type fields struct {
	project, database string
	collection        string
	subcollection     string // of each document of the collection, where the tokens are; "": in the document itself
	token             string // a field, or a path with dots: a text, a list of texts, or a map with tokens as keys or values
	customer          string // field with the customer's id; "": the id of the document in the collection
	platform          string // a field; "": there is none
	addedAt, seenAt   string // fields with times; "": there is none
}

// readFirestore reads the tokens of a database of a project.
func readFirestore(ctx context.Context, f fields, defaults entry, each func(entry)) error {
	client, err := firestore.NewClientWithDatabase(ctx, f.project, f.database)
	if err != nil {
		return fmt.Errorf("opening database %s of project %s: %w", f.database, f.project, err)
	}
	defer client.Close()
	return f.readDocuments(ctx, client, defaults, each)
}

// readDocuments reads the documents in pages. Each document costs one read.
func (f *fields) readDocuments(ctx context.Context, client *firestore.Client, defaults entry, each func(entry)) error {
	paths := slices.DeleteFunc([]string{f.token, f.customer, f.platform, f.addedAt, f.seenAt}, func(path string) bool { return path == "" })
	query := client.Collection(f.collection).Select(paths...)
	if f.subcollection != "" {
		query = client.CollectionGroup(f.subcollection).Select(paths...)
	}
	query = query.OrderBy(firestore.DocumentID, firestore.Asc).Limit(pageSize)

	for page := query; ; {
		snaps, err := page.Documents(ctx).GetAll()
		if err != nil {
			return fmt.Errorf("reading collection %s: %w", f.collection, err)
		}
		for _, snap := range snaps {
			if err := f.readDocument(snap, defaults, each); err != nil {
				return err
			}
		}
		if len(snaps) < pageSize {
			return nil
		}
		page = query.StartAfter(snaps[len(snaps)-1])
	}
}

// readDocument makes an entry of each token of a document. A document of another collection
// with a subcollection of the same name has none.
func (f *fields) readDocument(snap *firestore.DocumentSnapshot, e entry, each func(entry)) error {
	owner := snap.Ref
	if f.subcollection != "" {
		owner = snap.Ref.Parent.Parent
	}
	if owner == nil || owner.Parent.ID != f.collection {
		return nil
	}

	e.customer, e.place = owner.ID, "document "+snap.Ref.ID
	if f.customer != "" {
		e.customer = textAt(snap, f.customer)
	}
	if text := textAt(snap, f.platform); text != "" {
		platform, err := parsePlatform(text)
		if err != nil {
			return fmt.Errorf("%s: %w", e.place, err)
		}
		e.platform = platform
	}
	var err error
	if e.addedAt, err = timeOf(valueAt(snap, f.addedAt)); err != nil {
		return fmt.Errorf("%s: field %s: %w", e.place, f.addedAt, err)
	}
	if e.seenAt, err = timeOf(valueAt(snap, f.seenAt)); err != nil {
		return fmt.Errorf("%s: field %s: %w", e.place, f.seenAt, err)
	}

	tokens := tokensIn(valueAt(snap, f.token))
	for _, token := range tokens {
		e.token = token
		each(e)
	}
	if len(tokens) == 0 {
		each(e) // the report counts it
	}
	return nil
}

// valueAt returns a field of a document, nil if it has none.
func valueAt(snap *firestore.DocumentSnapshot, path string) any {
	if path == "" {
		return nil
	}
	value, err := snap.DataAt(path)
	if err != nil {
		return nil
	}
	return value
}

// textAt returns a field that is a text.
func textAt(snap *firestore.DocumentSnapshot, path string) string {
	text, _ := valueAt(snap, path).(string)
	return text
}

// tokensIn returns the tokens that a value holds: a text, the texts of a list, or of each
// field of a map its name or its text, whichever is longer.
func tokensIn(value any) (tokens []string) {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		for _, x := range v {
			tokens = append(tokens, tokensIn(x)...)
		}
	case map[string]any:
		for key, x := range v {
			if text, ok := x.(string); ok && len(text) > len(key) {
				key = text
			}
			tokens = append(tokens, key)
		}
		slices.Sort(tokens)
	}
	return tokens
}
