package main

import (
	"os"
	"strings"

	"github.com/miekg/dns"
)

// Answers from a map of a zone file's records with github.com/miekg/dns, CoreDNS's library, and does nothing else:
// what CoreDNS could reach at best. Arguments: port, file. Two sockets share the port.
func main() {
	records := map[string][]dns.RR{}
	names := map[string]bool{}
	file, err := os.Open(os.Args[2])
	if err != nil {
		panic(err)
	}
	parser := dns.NewZoneParser(file, "cluster.local.", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		header := rr.Header()
		name := strings.ToLower(header.Name)
		records[name+string(rune(header.Rrtype))] = append(records[name+string(rune(header.Rrtype))], rr)
		names[name] = true
	}
	soa := records["cluster.local."+string(rune(dns.TypeSOA))]
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		m.Authoritative = true
		name := strings.ToLower(q.Question[0].Name)
		m.Answer = records[name+string(rune(q.Question[0].Qtype))]
		if len(m.Answer) == 0 {
			m.Ns = soa
			if !names[name] {
				m.Rcode = dns.RcodeNameError
			}
		}
		size := 512
		if opt := q.IsEdns0(); opt != nil {
			size = int(opt.UDPSize())
			m.SetEdns0(1232, opt.Do())
		}
		m.Truncate(size)
		w.WriteMsg(m)
	})
	for i := 0; i < 2; i++ {
		server := &dns.Server{Addr: "127.0.0.1:" + os.Args[1], Net: "udp", Handler: handler, ReusePort: true}
		go server.ListenAndServe()
	}
	select {}
}
