package engine

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/proto"
)

// maxPage is the largest number of documents or ids in a page. It is also the
// default when the request gives no size.
const maxPage = 300

func pageSize(n int32) int {
	if n <= 0 || n > maxPage {
		return maxPage
	}
	return int(n)
}

// List returns a page of the documents of a collection and the token of the
// next page. With ShowMissing the page also names documents that do not exist
// but have collections below them. Each document is billed as a read, and a
// page as one read at least.
func (db *Database) List(ctx context.Context, req *pb.ListDocumentsRequest) ([]*Document, string, error) {
	q, err := listQuery(req)
	if err != nil {
		return nil, "", err
	}

	r := Read{Transaction: req.GetTransaction(), Time: req.GetReadTime()}
	snap, err := db.openRead(ctx, r, &reading{query: q})
	if err != nil {
		return nil, "", err
	}

	q = q.withLimit(pageSize(req.GetPageSize()) + 1)
	var out []*Document
	if err := db.eachResult(ctx, q, snap.at, func(w row, _ bool) bool {
		out = append(out, q.documentOf(w))
		return true
	}); err != nil {
		return nil, "", err
	}
	if req.GetShowMissing() {
		out = append(out, db.missingDocuments(q, snap.at)...)
		slices.SortFunc(out, func(a, b *Document) int { return comparePaths(a.Path, b.Path) })
	}

	next := ""
	if n := pageSize(req.GetPageSize()); len(out) > n {
		out = out[:n]
		next, err = q.pageToken(out[n-1])
	}

	db.engine.bill(ctx, int64(max(1, len(out))), 0, 0)
	return out, next, err
}

func (q *Query) withLimit(n int) *Query {
	c := *q
	c.limit = n
	return &c
}

func listQuery(req *pb.ListDocumentsRequest) (*Query, error) {
	sq := &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: req.GetCollectionId()}}}
	if req.GetCollectionId() == "" {
		return nil, invalidArgument("collection_id is missing.")
	}
	if req.GetShowMissing() && req.GetOrderBy() != "" {
		return nil, invalidArgument("show_missing and order_by cannot be used together.")
	}

	for o := range strings.SplitSeq(req.GetOrderBy(), ",") {
		if words := strings.Fields(o); len(words) > 0 {
			d := pb.StructuredQuery_ASCENDING
			if len(words) > 1 && strings.EqualFold(words[1], "desc") {
				d = pb.StructuredQuery_DESCENDING
			}
			sq.OrderBy = append(sq.OrderBy, &pb.StructuredQuery_Order{Field: &pb.StructuredQuery_FieldReference{FieldPath: words[0]}, Direction: d})
		}
	}
	if t := req.GetPageToken(); t != "" {
		c := &pb.Cursor{}
		b, err := base64.RawURLEncoding.DecodeString(t)
		if err != nil || proto.Unmarshal(b, c) != nil {
			return nil, invalidArgument("Invalid page token.")
		}
		sq.StartAt = c
	}

	q, err := NewQuery(req.GetParent(), sq)
	if err != nil {
		return nil, err
	}

	q.masked = req.GetMask() != nil
	q.mask, err = parseMask(req.GetMask())
	return q, err
}

// pageToken returns a cursor that starts after the last document of a page.
func (q *Query) pageToken(last *Document) (string, error) {
	c := &pb.Cursor{}
	for _, o := range q.orders {
		v := referenceValue(last.Name())
		if o.path != nil {
			v, _ = last.v.body.valueAt(o.path)
		}
		c.Values = append(c.Values, v)
	}
	b, err := proto.Marshal(c)
	return base64.RawURLEncoding.EncodeToString(b), err
}

// missingDocuments returns the documents that do not exist but have collections
// below them, from the cursor of the query on.
func (db *Database) missingDocuments(q *Query, at instant) []*Document {
	db.mu.RLock()
	defer db.mu.RUnlock()
	collection := joinPath(q.parent, q.id)
	seen := map[string]bool{}
	var out []*Document
	for p, c := range db.collections {
		rest, ok := strings.CutPrefix(p, collection+"/")
		if !ok || !c.livesAt(at) {
			continue
		}
		id, _, _ := strings.Cut(rest, "/")
		path := collection + "/" + id
		if seen[path] || db.documents.get(path).versionAt(at) != nil || q.start != nil && comparePaths(path, q.start.name) <= 0 {
			continue
		}
		seen[path] = true
		out = append(out, &Document{Path: path, prefix: db.documentsPrefix()})
	}

	return out
}

// livesAt reports whether a collection has a document at a time.
func (c *collection) livesAt(at instant) bool {
	for _, list := range []*sorted{&c.names.live, &c.names.past} {
		for _, b := range list.blocks {
			for _, e := range b {
				if e.doc.versionAt(at) != nil {
					return true
				}
			}
		}
	}
	return false
}

// CollectionIDs returns a page of the ids of the collections directly below a
// document or documents/, and the token of the next page.
func (db *Database) CollectionIDs(ctx context.Context, req *pb.ListCollectionIdsRequest) ([]string, string, error) {
	_, parent, err := parseParent(req.GetParent())
	if err != nil {
		return nil, "", err
	}

	snap, err := db.openRead(ctx, Read{Time: req.GetReadTime()}, nil)
	if err != nil {
		return nil, "", err
	}

	db.engine.bill(ctx, 1, 0, 0)
	ids := db.childIDs(parent, snap.at)
	i, _ := slices.BinarySearch(ids, req.GetPageToken())
	ids = ids[i:]
	if n := pageSize(req.GetPageSize()); len(ids) > n {
		return ids[:n], ids[n], nil
	}

	return ids, "", nil
}

func (db *Database) childIDs(parent string, at instant) []string {
	db.mu.RLock()
	defer db.mu.RUnlock()
	seen := map[string]bool{}
	var ids []string
	for p, c := range db.collections {
		rest := p
		if parent != "" {
			var ok bool
			if rest, ok = strings.CutPrefix(p, parent+"/"); !ok {
				continue
			}
		}
		if id, _, _ := strings.Cut(rest, "/"); !seen[id] && c.livesAt(at) {
			seen[id] = true
			ids = append(ids, id)
		}
	}

	slices.Sort(ids)
	return ids
}

const maxPartitions = 10_000

// Partition returns cursors that split a query into parts of about the same
// size, and the token of the next page. There is at most one more part than the
// request asks for.
func (db *Database) Partition(ctx context.Context, req *pb.PartitionQueryRequest) ([]*pb.Cursor, string, error) {
	q, err := NewQuery(req.GetParent(), req.GetStructuredQuery())
	if err != nil {
		return nil, "", err
	}
	if !q.deep || len(q.orders) != 1 || q.orders[0].desc || req.GetStructuredQuery().GetWhere() != nil || q.limit >= 0 || q.offset > 0 || q.start != nil || q.end != nil {
		return nil, "", invalidArgument("Only collection group queries ordered by __name__ ascending, without filter, limit, offset and cursors, can be partitioned.")
	}

	n := int(req.GetPartitionCount())
	if n < 1 || n > maxPartitions {
		return nil, "", invalidArgument("partition_count must be between 1 and %d.", maxPartitions)
	}

	snap, err := db.openRead(ctx, Read{Time: req.GetReadTime()}, nil)
	if err != nil {
		return nil, "", err
	}

	var paths []string
	if err := q.eachRow(ctx, db, snap.at, func(w row) bool { paths = append(paths, w.doc.path); return true }); err != nil {
		return nil, "", err
	}
	return partitionPage(q.partitionCursors(paths, n), req)
}

func (q *Query) partitionCursors(paths []string, n int) []*pb.Cursor {
	var out []*pb.Cursor
	for i, last := 1, 0; i <= n; i++ {
		if k := i * len(paths) / (n + 1); k > last {
			out = append(out, &pb.Cursor{Values: []*pb.Value{referenceValue(q.prefix + paths[k])}, Before: true})
			last = k
		}
	}
	return out
}

// partitionPage selects the page of a request from all partitions.
func partitionPage(all []*pb.Cursor, req *pb.PartitionQueryRequest) ([]*pb.Cursor, string, error) {
	from := 0
	if t := req.GetPageToken(); t != "" {
		var err error
		if from, err = strconv.Atoi(t); err != nil || from < 0 || from > len(all) {
			return nil, "", invalidArgument("Invalid page token.")
		}
	}

	all = all[from:]
	if n := int(req.GetPageSize()); n > 0 && len(all) > n {
		return all[:n], strconv.Itoa(from + n), nil
	}
	return all, "", nil
}
