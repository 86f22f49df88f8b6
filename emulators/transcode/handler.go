package transcode

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

type handler struct {
	conn    grpc.ClientConnInterface
	routes  []*route
	maxBody int64 // bytes
}

// New returns a handler of the REST form of services, which the server at conn has. A body
// of more than maxBody bytes is refused. It fails if an annotation has a form that it does
// not know.
func New(conn grpc.ClientConnInterface, maxBody int64, services ...protoreflect.ServiceDescriptor) (http.Handler, error) {
	routes, err := routesOf(services)
	if err != nil {
		return nil, err
	}
	return &handler{conn: conn, routes: routes, maxBody: maxBody}, nil
}

// Dial returns a connection to a server at addr, without TLS, for New. It connects at the
// first request.
func Dial(addr string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))
}

// ServeHTTP answers one request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, route := range h.routes {
		if values, ok := route.match(r.Method, r.URL.EscapedPath()); ok {
			h.call(w, r, route, values)
			return
		}
	}
	writeError(w, status.Error(codes.NotFound, "There is no method at this path."), false)
}

// call calls the method of a route and writes its answer.
func (h *handler) call(w http.ResponseWriter, r *http.Request, route *route, path []string) {
	streams := route.method.IsStreamingServer()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.maxBody))
	if err != nil {
		writeError(w, status.Errorf(codes.InvalidArgument, "The body cannot be read: %v", err), streams)
		return
	}
	in, out, err := NewMessages(route.method)
	if err != nil {
		writeError(w, status.Error(codes.Internal, err.Error()), streams)
		return
	}
	if err := route.decodeRequest(in.ProtoReflect(), path, body, r.URL.Query()); err != nil {
		writeError(w, status.Error(codes.InvalidArgument, err.Error()), streams)
		return
	}

	ctx := r.Context()
	if a := r.Header.Get("Authorization"); a != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", a)
	}
	name := "/" + string(route.method.Parent().FullName()) + "/" + string(route.method.Name())
	form := protojson.MarshalOptions{UseEnumNumbers: strings.Contains(r.URL.Query().Get("$alt"), "enum-encoding=int")}
	if streams {
		stream, err := h.openStream(ctx, name, in)
		if err != nil {
			writeError(w, err, true)
			return
		}
		writeStream(w, stream, out, form)
		return
	}

	if err := h.conn.Invoke(ctx, name, in, out); err != nil {
		writeError(w, err, false)
		return
	}
	answer, err := form.Marshal(out)
	if err != nil {
		writeError(w, status.Error(codes.Internal, err.Error()), false)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	write(w, append(answer, '\n'))
}

// NewMessages returns an empty request and an empty response of a method. It fails if the
// program does not have their types.
func NewMessages(m protoreflect.MethodDescriptor) (in, out proto.Message, err error) {
	input, err := protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName())
	if err != nil {
		return nil, nil, err
	}
	output, err := protoregistry.GlobalTypes.FindMessageByName(m.Output().FullName())
	if err != nil {
		return nil, nil, err
	}
	return input.New().Interface(), output.New().Interface(), nil
}

// openStream sends the request of a method that answers with a stream.
func (h *handler) openStream(ctx context.Context, method string, in proto.Message) (grpc.ClientStream, error) {
	stream, err := h.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(in); err != nil && !errors.Is(err, io.EOF) { // io.EOF: RecvMsg has the error
		return nil, err
	}
	return stream, stream.CloseSend()
}

// writeStream writes the responses of a stream as a JSON array. An error before the first
// response is the status of the answer. After it, it is the last element of the array.
func writeStream(w http.ResponseWriter, stream grpc.ClientStream, out proto.Message, form protojson.MarshalOptions) {
	begun := false
	for {
		proto.Reset(out)
		err := stream.RecvMsg(out)
		var element []byte
		switch {
		case errors.Is(err, io.EOF) && begun:
			write(w, []byte("]\n"))
			return
		case errors.Is(err, io.EOF):
			w.Header().Set("Content-Type", "application/json; charset=UTF-8")
			write(w, []byte("[]\n"))
			return
		case err != nil && !begun:
			writeError(w, err, true)
			return
		case err != nil:
			write(w, append(append([]byte(",\r\n"), ErrorBody(err)...), "]\n"...))
			return
		}

		if element, err = form.Marshal(out); err != nil {
			slog.Warn("a response has no JSON form", "error", err)
			return
		}
		if begun {
			write(w, []byte(",\r\n"))
		} else {
			w.Header().Set("Content-Type", "application/json; charset=UTF-8")
			write(w, []byte("["))
			begun = true
		}
		write(w, element)
	}
}

// httpStatus is the table of google.rpc.Code.
var httpStatus = map[codes.Code]int{
	codes.Canceled: 499, codes.InvalidArgument: 400, codes.DeadlineExceeded: 504, codes.NotFound: 404, codes.AlreadyExists: 409,
	codes.PermissionDenied: 403, codes.Unauthenticated: 401, codes.ResourceExhausted: 429, codes.FailedPrecondition: 400,
	codes.Aborted: 409, codes.OutOfRange: 400, codes.Unimplemented: 501, codes.Unavailable: 503,
}

// httpStatusOf returns the status that Google's REST services give an error.
func httpStatusOf(c codes.Code) int {
	if s, ok := httpStatus[c]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// ErrorBody returns an error in the form of Google's REST services.
func ErrorBody(err error) []byte {
	s := status.Convert(err)
	body, err := json.Marshal(map[string]any{"error": map[string]any{
		"code": httpStatusOf(s.Code()), "message": s.Message(), "status": code.Code(s.Code()).String(),
	}})
	if err != nil {
		return []byte(`{"error":{"code":500}}`)
	}
	return body
}

// writeError writes an error as the answer; the methods with a stream have it in an array.
func writeError(w http.ResponseWriter, err error, inArray bool) {
	body := ErrorBody(err)
	if inArray {
		body = append(append([]byte("["), body...), ']')
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(httpStatusOf(status.Code(err)))
	write(w, append(body, '\n'))
}

// write writes a part of an answer. A client that has gone needs no answer.
func write(w io.Writer, b []byte) {
	if _, err := w.Write(b); err != nil {
		slog.Debug("the client has gone", "error", err)
	}
}
