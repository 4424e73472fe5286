//! The portal's name server: a question that another reader understands is answered, and the answer says what the
//! question asked for; what it does not understand never gets an address.

use std::net::Ipv4Addr;

use bluebell::log::Log;
use bluebell::portal::serve_dhcp_and_dns;
use embassy_futures::select::{Either, select};
use sim::time::run_virtual;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, RCODE, SimpleDnsError, TYPE};

use crate::datagrams::Udp;
use crate::wire::PEER;

const PORTAL: Ipv4Addr = Ipv4Addr::new(192, 168, 4, 1);

/// The input is a datagram.
pub(crate) fn run(input: &[u8]) {
    let mut buffer = [0; 256];
    let log = Log::new(&mut buffer);
    let network = Udp::new(53);
    let served = select(
        serve_dhcp_and_dns(&network, PORTAL, [67, 53], &log),
        async {
            let answers = network.ask(input.to_vec()).await;
            // And the next one is answered.
            let next = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01";
            assert_eq!(network.ask(next.to_vec()).await.len(), 1);
            answers
        },
    );
    let answers = match run_virtual(served) {
        Either::First(never) => match never {},
        Either::Second(answers) => answers,
    };
    let is_question = input.len() >= 12 && input[2] & 0x80 == 0;
    match &answers[..] {
        [] => assert!(!is_question, "a question without an answer"),
        [(to, answer)] => {
            assert!(is_question, "an answer to no question");
            assert_eq!(*to, PEER);
            check(input, answer);
        }
        _ => panic!("several answers to one question"),
    }
}

fn check(input: &[u8], answer: &[u8]) {
    assert!(
        answer.len() <= input.len() + 16,
        "an answer that is too long"
    );
    assert_eq!(answer[..2], input[..2], "the answer to another question");
    assert_eq!(answer[2] & 0x80, 0x80);
    assert_eq!(answer[2] & 0x79, input[2] & 0x79, "another operation");
    let parsed = match Packet::parse(answer) {
        Ok(parsed) => parsed,
        // The other reader does not know all classes and types; of those there is no address.
        Err(
            SimpleDnsError::InvalidClass(_)
            | SimpleDnsError::InvalidQClass(_)
            | SimpleDnsError::InvalidQType(_),
        ) => return assert_eq!(answer[6..8], [0, 0], "an address of an unknown kind"),
        Err(error) => panic!("an answer that cannot be read: {error}"),
    };
    assert!(!parsed.has_flags(PacketFlag::TRUNCATION));
    let addresses: Vec<_> = parsed
        .answers
        .iter()
        .map(|record| {
            assert_eq!(record.class, CLASS::IN);
            assert_eq!(record.ttl, 1, "remembered for long");
            match &record.rdata {
                RData::A(address) => Ipv4Addr::from(address.address),
                other => panic!("an answer of another kind: {other:?}"),
            }
        })
        .collect();
    if parsed.rcode() != RCODE::NoError {
        assert!(matches!(
            parsed.rcode(),
            RCODE::FormatError | RCODE::NotImplemented
        ));
        assert!(addresses.is_empty() && parsed.questions.is_empty());
    } else {
        let [question] = &parsed.questions[..] else {
            panic!("the question stands in its answer");
        };
        let wants = matches!(question.qtype, QTYPE::TYPE(TYPE::A) | QTYPE::ANY)
            && matches!(question.qclass, QCLASS::CLASS(CLASS::IN) | QCLASS::ANY)
            // What means this to multicast DNS is another class here.
            && !question.unicast_response;
        assert_eq!(addresses, if wants { vec![PORTAL] } else { vec![] });
        for record in &parsed.answers {
            assert_eq!(record.name, question.qname);
        }
    }
    // What another reader takes for one question is answered.
    if input.len() <= 512
        && let Ok(asked) = Packet::parse(input)
        && let [question] = &asked.questions[..]
        && asked.opcode() == OPCODE::StandardQuery
    {
        assert_eq!(parsed.rcode(), RCODE::NoError, "{asked:?}");
        assert_eq!(parsed.questions[0].qname, question.qname);
        assert_eq!(parsed.questions[0].qtype, question.qtype);
        assert_eq!(parsed.questions[0].qclass, question.qclass);
    }
}
