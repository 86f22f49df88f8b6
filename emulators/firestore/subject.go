package firestore

import (
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// A subject is what a request is about. It has only names of the request, so that a large
// request does not stay in memory with it.
type subject struct {
	name       string // of a document, a parent of collections, or a database
	collection string // below name
	id         string // of a document below collection
	group      bool   // the collections of this id at any depth below name
	more       int    // documents besides the first
}

// path returns the name of the subject in one text. ** stands for any depth.
func (s subject) path() string {
	out := s.name
	if s.group {
		out += "/**"
	}
	if s.collection != "" {
		out += "/" + s.collection
	}
	if s.id != "" {
		out += "/" + s.id
	}
	return out
}

// subjectOf returns what a request is about. It makes no new text, because it runs for each
// request.
func subjectOf(req any) subject {
	switch r := req.(type) {
	case *pb.GetDocumentRequest:
		return subject{name: r.GetName()}
	case *pb.DeleteDocumentRequest:
		return subject{name: r.GetName()}
	case *pb.UpdateDocumentRequest:
		return subject{name: r.GetDocument().GetName()}
	case *pb.CreateDocumentRequest:
		return subject{name: r.GetParent(), collection: r.GetCollectionId(), id: r.GetDocumentId()}
	case *pb.ListDocumentsRequest:
		return subject{name: r.GetParent(), collection: r.GetCollectionId()}
	case *pb.ListCollectionIdsRequest:
		return subject{name: r.GetParent()}
	case *pb.BatchGetDocumentsRequest:
		return subjectOfNames(r.GetDatabase(), r.GetDocuments())
	case *pb.RunQueryRequest:
		return subjectOfQuery(r.GetParent(), r.GetStructuredQuery())
	case *pb.RunAggregationQueryRequest:
		return subjectOfQuery(r.GetParent(), r.GetStructuredAggregationQuery().GetStructuredQuery())
	case *pb.PartitionQueryRequest:
		return subjectOfQuery(r.GetParent(), r.GetStructuredQuery())
	case *pb.CommitRequest:
		return subjectOfWrites(r.GetDatabase(), r.GetWrites())
	case *pb.BatchWriteRequest:
		return subjectOfWrites(r.GetDatabase(), r.GetWrites())
	case *pb.WriteRequest:
		return subjectOfWrites(r.GetDatabase(), r.GetWrites())
	case *pb.ListenRequest:
		return subjectOfTarget(r)
	case interface{ GetDatabase() string }:
		return subject{name: r.GetDatabase()}
	}
	return subject{}
}

func subjectOfNames(database string, names []string) subject {
	if len(names) == 0 {
		return subject{name: database}
	}
	return subject{name: names[0], more: len(names) - 1}
}

func subjectOfQuery(parent string, q *pb.StructuredQuery) subject {
	s := subject{name: parent}
	if from := q.GetFrom(); len(from) > 0 {
		s.collection, s.group = from[0].GetCollectionId(), from[0].GetAllDescendants()
	}
	return s
}

func subjectOfTarget(r *pb.ListenRequest) subject {
	t := r.GetAddTarget()
	if q := t.GetQuery(); q != nil {
		return subjectOfQuery(q.GetParent(), q.GetStructuredQuery())
	}
	return subjectOfNames(r.GetDatabase(), t.GetDocuments().GetDocuments())
}

func subjectOfWrites(database string, writes []*pb.Write) subject {
	if len(writes) == 0 {
		return subject{name: database}
	}
	s := subject{more: len(writes) - 1}
	switch w := writes[0]; {
	case w.GetUpdate() != nil:
		s.name = w.GetUpdate().GetName()
	case w.GetTransform() != nil:
		s.name = w.GetTransform().GetDocument()
	default:
		s.name = w.GetDelete()
	}
	return s
}
