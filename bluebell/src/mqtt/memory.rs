//! The memory that MQTT works in.

use super::inbox::Inbox;

/// The buffers of one [`Mqtt`](super::Mqtt), in bytes.
///
/// | parameter | holds |
/// |---|---|
/// | `PACKET` | the longest packet from the broker; twice |
/// | `INBOX` | messages that wait for the application, 11 bytes more each |
/// | `OUTBOX` | QoS 1 and 2 messages on their way to the broker, 35 bytes more each; the others wait on flash |
/// | `TRANSMIT` | packets on their way out, and so the longest one |
///
/// `PACKET` is what the broker is told as its maximum packet size. With [`packet_for`] it has room for a
/// message of which topic and payload together have the given length.
pub struct MqttMemory<
    const PACKET: usize = { packet_for(1024) },
    const INBOX: usize = 1792,
    const OUTBOX: usize = 1536,
    const TRANSMIT: usize = 1280,
> {
    pub(super) receive: [u8; PACKET],
    pub(super) deliver: [u8; PACKET],
    pub(super) inbox: [u8; INBOX],
    pub(super) outbox: [u8; OUTBOX],
    pub(super) transmit: [u8; TRANSMIT],
}

/// How long a packet gets whose topic and payload together have `message` bytes: the most for its
/// other parts, and room for some properties.
#[must_use]
pub const fn packet_for(message: usize) -> usize {
    message + 128
}

impl<const PACKET: usize, const INBOX: usize, const OUTBOX: usize, const TRANSMIT: usize>
    MqttMemory<PACKET, INBOX, OUTBOX, TRANSMIT>
{
    const SOUND: () = {
        assert!(
            PACKET >= packet_for(128),
            "PACKET is too small for a broker's answers"
        );
        assert!(
            PACKET <= 268_435_455,
            "PACKET is larger than a packet can be"
        );
        assert!(
            INBOX >= PACKET + Inbox::OVERHEAD,
            "INBOX must hold a message as long as PACKET"
        );
        assert!(OUTBOX >= 64, "OUTBOX is too small for a message");
        assert!(
            TRANSMIT >= 512,
            "TRANSMIT is too small for the first packet"
        );
    };

    /// Memory that is not in use yet. Sizes that cannot work do not compile.
    #[must_use]
    pub const fn new() -> Self {
        let () = Self::SOUND;
        Self {
            receive: [0; PACKET],
            deliver: [0; PACKET],
            inbox: [0; INBOX],
            outbox: [0; OUTBOX],
            transmit: [0; TRANSMIT],
        }
    }
}

impl<const PACKET: usize, const INBOX: usize, const OUTBOX: usize, const TRANSMIT: usize> Default
    for MqttMemory<PACKET, INBOX, OUTBOX, TRANSMIT>
{
    fn default() -> Self {
        Self::new()
    }
}
