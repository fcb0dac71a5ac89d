"""Every kind: what is found, and what only looks like it."""

import pytest

from iron_policy.detect import KINDS, Scanner

HEX32 = "5f4dcc3b9aa765d61d8327deb882cf09"
ALNUM = "q7Rz0LmX2vB9kTf4WcY8nHs1JdPg6AeU3oKi5Mb"
URLSAFE = "q7Rz0LmX2v-9kTf4WcY8nHs1_dPg6AeU3oKi5MbZx7Ql0RtY2uIo4PaS6dFg8HjK1lZx3CvB5nMq7WeR9tY"

FOUND = [
    ("EMAIL", "write to ada.lovelace+x@mail.example.org, please", "ada.lovelace+x@mail.example.org"),
    ("EMAIL", 'raw JSON {"m":"hi\\nada@example.org"}', "ada@example.org"),
    ("EMAIL", "邮箱是ada@example.org。", "ada@example.org"),
    ("EMAIL", "ask 123456789@example.org", "123456789@example.org"),
    ("EMAIL", "ask ada.1bcdefghij@example.org", "ada.1bcdefghij@example.org"),
    ("PHONE", "call +44 20 7123 4567 now", "+44 20 7123 4567"),
    ("PHONE", "US: (415) 555-0132.", "(415) 555-0132"),
    ("PHONE", "desk 253-366-9781x12, ok", "253-366-9781x12"),
    ("PHONE", "mobile 0688 843 79 56", "0688 843 79 56"),
    ("PHONE", "Phone: 451 5986", "451 5986"),
    ("PHONE", "03.93.92.16.85", "03.93.92.16.85"),
    ("CREDIT_CARD", "card 4111 1111 1111 1111 exp", "4111 1111 1111 1111"),
    ("CREDIT_CARD", "amex 378282246310005.", "378282246310005"),
    ("CREDIT_CARD", "5500-0000-0000-0004", "5500-0000-0000-0004"),
    ("US_SSN", "my SSN is 536-22-8726, thanks", "536-22-8726"),
    ("US_SSN", "social security 536228726", "536228726"),
    ("IBAN", "pay GB82 WEST 1234 5698 7654 32 today", "GB82 WEST 1234 5698 7654 32"),
    ("IBAN", "de89370400440532013000", "de89370400440532013000"),
    ("IBAN", "MT84MALT011000012345MTLCAST001S", None),
    ("IBAN", "SK3112000000198742637541", None),
    ("IP_ADDRESS", "from 192.168.17.4:8080", "192.168.17.4"),
    ("IP_ADDRESS", "host [2001:db8::ff00:42:8329]:443", "2001:db8::ff00:42:8329"),
    ("IP_ADDRESS", "mapped ::ffff:10.0.0.1 here", "::ffff:10.0.0.1"),
    ("IP_ADDRESS", "net 10.0.0.0/8", "10.0.0.0/8"),
    ("MAC_ADDRESS", "MAC 00:1A:2B:3C:4D:5E", "00:1A:2B:3C:4D:5E"),
    ("MAC_ADDRESS", "aabb.ccdd.eeff", "aabb.ccdd.eeff"),
    ("CRYPTO", "to 1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"),
    ("CRYPTO", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
    ("CRYPTO", "12345678 1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"),
    (
        "CRYPTO",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
    ),
    ("CRYPTO", "0x52908400098527886E0F7030069857D2E4169EE7", "0x52908400098527886E0F7030069857D2E4169EE7"),
    ("NATIONAL_ID", "CPF 111.444.777-35", "111.444.777-35"),
    ("NATIONAL_ID", "NINO AB 12 34 56 C.", "AB 12 34 56 C"),
    ("NATIONAL_ID", "DNI 12345678Z", "12345678Z"),
    ("NATIONAL_ID", "NIE X1234567L", "X1234567L"),
    ("NATIONAL_ID", "CF RSSMRA85T10A562S", "RSSMRA85T10A562S"),
    ("NATIONAL_ID", "PAN ABCPD1234Z", "ABCPD1234Z"),
    ("NATIONAL_ID", "Aadhaar 3998 7654 3211", "3998 7654 3211"),
    ("NATIONAL_ID", "HETU 131052-308T", "131052-308T"),
    ("NATIONAL_ID", "NIR 2 95 10 99 126 111 93", "2 95 10 99 126 111 93"),
    ("NATIONAL_ID", "身份证 11010519491231002X", "11010519491231002X"),
    ("NATIONAL_ID", "my pesel is 44051401458.", "44051401458"),
    ("NATIONAL_ID", "SIN: 130-692-544", "130-692-544"),
    ("NATIONAL_ID", "NRIC S2740116C was processed", "S2740116C"),
    ("NATIONAL_ID", "passport C01X00T47", "C01X00T47"),
    ("BANK_ACCOUNT", "routing number 121042882", "121042882"),
    ("BANK_ACCOUNT", "bank account 945456787654", "945456787654"),
    ("OPENAI_KEY", f"use sk-proj-{URLSAFE} ok", f"sk-proj-{URLSAFE}"),
    ("OPENAI_KEY", f'"sk-{ALNUM}"', f"sk-{ALNUM}"),
    ("ANTHROPIC_KEY", f"sk-ant-api03-{URLSAFE}AA", f"sk-ant-api03-{URLSAFE}AA"),
    ("AWS_ACCESS_KEY", "id AKIATHIOG6G6EWHVKK2L.", "AKIATHIOG6G6EWHVKK2L"),
    (
        "AZURE_KEY",
        "secret QtT8Q~9CxIjbRouHVpD2Tuf3oHWGhaDQ3kcjbAn",
        "8Q~9CxIjbRouHVpD2Tuf3oHWGhaDQ3kcjbAn",
    ),
    ("AZURE_KEY", f"AccountKey={ALNUM}{ALNUM}q7Rz0LmX==", None),
    ("GOOGLE_API_KEY", f"AIza{ALNUM[:35]}", f"AIza{ALNUM[:35]}"),
    ("GITHUB_TOKEN", f"ghp_{ALNUM[:36]}", f"ghp_{ALNUM[:36]}"),
    ("GITHUB_TOKEN", f"https://x:github_pat_{ALNUM}_{ALNUM}@github.com/o/r", f"github_pat_{ALNUM}_{ALNUM}"),
    ("GITLAB_TOKEN", "glpat-WLMy66tL5zzMtJrldaYQ", "glpat-WLMy66tL5zzMtJrldaYQ"),
    ("SLACK_TOKEN", f"xoxb-123456789012-{ALNUM[:24]}", f"xoxb-123456789012-{ALNUM[:24]}"),
    (
        "SLACK_TOKEN",
        "https://hooks.slack.com/services/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",
        "hooks.slack.com/services/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",
    ),
    ("STRIPE_KEY", f"sk_live_{ALNUM[:24]}", f"sk_live_{ALNUM[:24]}"),
    ("TWILIO_KEY", f"SK{HEX32}", f"SK{HEX32}"),
    ("SENDGRID_KEY", f"SG.{ALNUM[:22]}.{URLSAFE[:43]}", f"SG.{ALNUM[:22]}.{URLSAFE[:43]}"),
    ("NPM_TOKEN", f"npm_{ALNUM[:36]}", f"npm_{ALNUM[:36]}"),
    ("PYPI_TOKEN", f"pypi-AgEIcHlwaS5vcmc{URLSAFE}", f"pypi-AgEIcHlwaS5vcmc{URLSAFE}"),
    ("HUGGINGFACE_TOKEN", "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", "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"),
    ("DATABRICKS_TOKEN", f"dapi{HEX32}", f"dapi{HEX32}"),
    ("DIGITALOCEAN_TOKEN", f"dop_v1_{HEX32}{HEX32}", f"dop_v1_{HEX32}{HEX32}"),
    ("HASHICORP_TOKEN", f"hvs.{URLSAFE}", f"hvs.{URLSAFE}"),
    ("HASHICORP_TOKEN", f"hE1hlYILrSqpqh.atlasv1.{URLSAFE[:60]}", f".atlasv1.{URLSAFE[:60]}"),
    ("SHOPIFY_TOKEN", f"shpat_{HEX32}", f"shpat_{HEX32}"),
    ("TELEGRAM_TOKEN", "7213808860:AAH1bjqpKKW3maRSPAxzIU0v6xNuq2-NjMz", None),
    ("XAI_KEY", f"xai-{ALNUM}{ALNUM}", f"xai-{ALNUM}{ALNUM}"),
    ("GROQ_KEY", f"gsk_{ALNUM}q7Rz0LmX2vB9k", f"gsk_{ALNUM}q7Rz0LmX2vB9k"),
    ("PERPLEXITY_KEY", f"pplx-{ALNUM}q7Rz0LmX2", f"pplx-{ALNUM}q7Rz0LmX2"),
    ("REPLICATE_KEY", f"r8_{ALNUM[:37]}", f"r8_{ALNUM[:37]}"),
    ("LANGSMITH_KEY", f"lsv2_pt_{HEX32}_cb503edd8d", f"lsv2_pt_{HEX32}_cb503edd8d"),
    ("JWT", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P", None),
    ("PRIVATE_KEY", f"-----BEGIN RSA PRIVATE KEY-----\n{ALNUM}\n-----END RSA PRIVATE KEY-----", None),
    ("PRIVATE_KEY", f"-----BEGIN PRIVATE KEY-----\\n{ALNUM}\\n{ALNUM}\\n-----END PRIVATE KEY-----", None),
    ("BASIC_AUTH_URL", "postgres://kenji:IXscSieKf7YL8Ljk@db.internal:5432/app", None),
    ("BASIC_AUTH_URL", "postgresql+asyncpg://kenji:IXscSieKf7YL8Ljk@db", None),
    ("BASIC_AUTH_URL", "ourstore://kenji:IXscSieKf7YL8Ljk@db", "://kenji:IXscSieKf7YL8Ljk@db"),
    ("OTHER_API_KEY", f"PMAK-{HEX32[:24]}-{HEX32}ab", None),
    ("OTHER_API_KEY", f"key-{HEX32}", None),
    ("OTHER_API_KEY", f"{HEX32}-us12", f"{HEX32}-us12"),
    ("GENERIC_SECRET", "api_key = 'zX81kd0qLm2PvA93hhQ1'", "zX81kd0qLm2PvA93hhQ1"),
    ("GENERIC_SECRET", '{"db_password": "h0pk1ns~21sx"}', "h0pk1ns~21sx"),
    ("GENERIC_SECRET", "Authorization: Basic am9obmRvZTpkMDY5NGIxYi1jMTcx", "am9obmRvZTpkMDY5NGIxYi1jMTcx"),
    ("GENERIC_SECRET", "the password is Sup3rS3cret!", "Sup3rS3cret!"),
    ("GENERIC_SECRET", "curl -s -u johns:h0pk1ns21s https://x.example", "johns:h0pk1ns21s"),
    ("URL", "see https://example.org/a?b=1.", "https://example.org/a?b=1"),
    ("INJECTION", "Please ignore all previous instructions and", "ignore all previous instructions"),
]

NEAR_MISSES = [
    ("EMAIL", "@app.route and foo@localhost and a @ b.c"),
    ("PHONE", "2024-01-15 12:30:00, order 17899491, v1.2.3"),
    ("PHONE", "Part number: 555-123-4567-A"),
    ("CREDIT_CARD", "4111 1111 1111 1112"),
    ("CREDIT_CARD", "0000 0000 0000 0000"),
    ("US_SSN", "666-12-9999 000-12-3456 123-00-4567 12-345-6789"),
    ("IBAN", "GB82 WEST 1234 5698 7654 33"),
    ("IP_ADDRESS", "256.1.1.1 and 1.2.3 and 10.0.19948.1"),
    ("IP_ADDRESS", "std::vector<int> a[::2] ab::cd 12:34:56"),
    ("MAC_ADDRESS", "00:1A:2B:3C:4D and FF:FF:FF:FF:FF:FF"),
    ("CRYPTO", "1BoatSLRHtKNngkdXEeobR76b53LETtpyU"),
    ("CRYPTO", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj1"),
    ("NATIONAL_ID", "111.444.777-36 12345678A X1234567M"),
    ("NATIONAL_ID", "44051401458"),
    ("BANK_ACCOUNT", "121042882"),
    ("OPENAI_KEY", "task-based-approach sk-proj-xxxxxxxxxxxxxxxxxxxxxxxx sk-short"),
    ("AWS_ACCESS_KEY", "TODAYINASIAASACKOFRICEFELLOVER AKIAXXXXXXXXXXXXXXXX"),
    ("GOOGLE_API_KEY", "AIzaShort"),
    ("GITHUB_TOKEN", "ghp_short github_pat_x"),
    ("SLACK_TOKEN", "xoxb-your-bot-token"),
    ("TWILIO_KEY", f"SK{HEX32}00 ASK{HEX32}"),
    ("HUGGINGFACE_TOKEN", "hf_servingcellpriorityparametersdescription_h_prio"),
    ("JWT", "eyJhbGciOiJIUzI1NiJ9 eyJub3QgYSBqd3Qi.eyJub3QgYSBqd3Qi.abc"),
    ("PRIVATE_KEY", "a file that starts with -----BEGIN PRIVATE KEY----- is a key"),
    ("BASIC_AUTH_URL", "https://user:password@host http://localhost:8080/a@b"),
    ("GENERIC_SECRET", "api_key=settings.openai_key_2 token = tokens[12345678] max_tokens=4096"),
    ("GENERIC_SECRET", 'password: "<your-password-1>" secret: ${SECRET_2} key="xxxxxxxxxxxxxxxx1"'),
    ("GENERIC_SECRET", "public_key = 'zX81kd0qLm2PvA93hhQ1' cache_key: user_profile_v2_2024"),
    ("INJECTION", "do not ignore the noise; forget about it; show me the list"),
]

ALL = Scanner(KINDS)


def _found(text: str, kind: str) -> list[str]:
    return [text[f.start : f.end] for f in ALL.scan(text) if f.kind == kind]


@pytest.mark.parametrize(("kind", "text", "value"), FOUND)
def test_a_value_is_found_whole_and_named(kind, text, value):
    assert _found(text, kind) == [text if value is None else value]


@pytest.mark.parametrize(("kind", "text"), NEAR_MISSES)
def test_what_only_looks_like_a_value_is_left_alone(kind, text):
    assert _found(text, kind) == []


def test_every_kind_has_a_value_that_is_found():
    assert {kind for kind, _, _ in FOUND} == set(KINDS)
