"""What character tables that are missing or wrong leave behind, and what people write."""

# ruff: noqa: RUF001 letters of many alphabets are what is tested

import random

import pytest

from processors.steps.glyphs import garbage

ENGLISH = (
    "Thank you for your letter of last week about the delivery of the spare parts.",
    "The pump at the lower weir was taken out of service on Tuesday morning.",
    "Our engineer measured the flow again and found it twelve percent below the contract.",
)
WRITTEN = {
    "English": ENGLISH,
    "a page of one line": ("Annex B",),
    "one word of consonants": ("DVD-RW",),
    "nothing": (),
    "German": (
        "Die Donaudampfschifffahrtsgesellschaft bestätigte die Rechtsschutzversicherungsgesellschaften am Dienstag.",
    ),
    "Polish": (
        "Wszczął źródło strzyżenia w Szczebrzeszynie, chrząszcz brzmi w trzcinie i Szczebrzeszyn z tego słynie.",
    ),
    "Czech": ("Čtvrtek strč prst skrz krk, vlk zmrzl, zhltl hrst zrn. Příliš žluťoučký kůň úpěl ďábelské ódy o vodě.",),
    "Finnish": ("Alavesi mitattiin uudelleen aamulla, ja hääyöaie oli kaksitoista prosenttia pienempi kuin sovittu.",),
    "Hawaiian": ("Ua hauʻoli nō au i ka ʻike iā ʻoe, e aloha aku i kou ʻohana a me nā hoaaloha a pau o kēia ʻāina.",),
    "Vietnamese": (
        "Cộng hòa xã hội chủ nghĩa Việt Nam, độc lập, tự do, hạnh phúc. Mực nước đập thủy điện đã được đo lại.",
    ),
    "Turkish": ("Aşağı bentteki pompa salı sabahı hizmetten çıkarıldı, ışıklı gösterge kırmızıydı.",),
    "Russian": ("Насос на нижней плотине был выведен из эксплуатации во вторник утром, вода стояла высоко.",),
    "Ukrainian": ("Насос на нижній греблі вивели з експлуатації у вівторок вранці, рівень води був високий.",),
    "Greek": ("Η αντλία στο κάτω φράγμα τέθηκε εκτός λειτουργίας το πρωί της Τρίτης, λέει ο μηχανικός.",),
    "Hebrew": ("המשאבה בסכר התחתון הוצאה משימוש ביום שלישי בבוקר, ומפלס המים היה גבוה מן הרגיל.",),
    "Arabic": ("تم إخراج المضخة في السد السفلي من الخدمة صباح يوم الثلاثاء وكان منسوب المياه مرتفعا.",),
    "Hindi": ("निचले बांध पर लगे पंप को मंगलवार की सुबह सेवा से हटा दिया गया और जल स्तर ऊंचा था।",),
    "Thai": ("เครื่องสูบน้ำที่ฝายล่างถูกนำออกจากการให้บริการในเช้าวันอังคารและระดับน้ำสูงกว่าปกติ",),
    "Chinese": ("下游堰的水泵于星期二早上停止运行，工程师再次测量了流量，发现其比合同规定低百分之十二，水位偏高。",),
    "Japanese": (
        "下流の堰のポンプは火曜日の朝に運転を停止しました。技術者が流量を再測定したところ契約より低い値でした。",
    ),
    "Korean": (
        "하류 보의 펌프는 화요일 아침에 가동이 중단되었고 기술자가 유량을 다시 측정한 결과 계약보다 낮았습니다.",
    ),
    "a table of numbers": ("1.20 2.25 0.55", "10,414.04 52 200.27", "2026-03-14 −0.9393 5.39E-05") * 9,
    "a table of articles": tuple(f"{code} 4 171.18" for code in ("M7890", "PXK-6204", "DN25", "CU-7", "VRT-12", "KHS"))
    * 9,
    "units": ("12 kg 3 mm 4 cm 5 hr 6 pcs", "kWh MWh Nm³ bar psi rpm") * 9,
    "program text": ("def getElementById(self, nodeName):", "    return self.childNodes[nodeName].textContent") * 3,
    "bullets of a symbol font": ("\uf0b7 Yes", "\uf0b7 No", "\uf0a7 Perhaps"),
    "formulas": ("where α ≤ β, ∑ xᵢ → ∞ and λ₁ = 0.5, as the matrix ℝⁿ of the second order shows", "∂f/∂x = 0"),
    "an address of the web": ("https://example.org/" + "a-very-long-path/" * 9,),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_people_write_is_text(name: str) -> None:
    assert not garbage(WRITTEN[name])


def shifted(text: str, by: int) -> str:
    """Glyph numbers taken for characters: each letter is `by` places away, the blanks stay."""
    return "".join(letter if letter.isspace() else chr(ord(letter) + by) for letter in text)


def permuted(text: str) -> str:
    """Another letter for each letter, as a font with an order of its own gives."""
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    return text.lower().translate(str.maketrans(alphabet, alphabet[::-1]))


SCRIPTS = (0x3B1, 0x430, 0x5D0, 0x627, 0x905, 0xE01, 0x4E00)  # Greek, Cyrillic, Hebrew, Arabic, Hindi, Thai, Chinese
LOST = {
    "replacement characters": ("The \ufffdump at the \ufffdower \ufffdeir \ufffd\ufffd\ufffd.",),
    "private characters": ("\ue054\ue068\ue065 \ue070\ue075\ue06d\ue070",),
    "controls": ("\x01\x02\x03 \x04\x05\x06\x07 \x08",),
    "numbers in place of characters": ("(cid:12)(cid:34)(cid:5) (cid:88)(cid:2)",),
    "a shift by 29": tuple(shifted(text, -29) for text in ENGLISH),
    "a shift by 3": tuple(shifted(text, 3) for text in ENGLISH),
    "the alphabet from its end": tuple(permuted(text) for text in ENGLISH),
    "UTF-8 read as Latin-1": ("Die Pumpe wurde geprüft, für größere Flüsse müßte sie höher".encode().decode("cp1252"),),
    "Russian read as Latin-1": (WRITTEN["Russian"][0].encode("cp1251").decode("latin-1"),),
    "capitals anywhere": ("tHe pUmP aT tHe loWeR wEiR wAs tAkEn oUt oF seRviCe tuEsDaY moRniNg aFteR nIgHt sHiFt",),
    "no blanks": tuple("".join(filter(str.isalpha, text)) for text in ENGLISH),
    "a blank after each letter": (" ".join(ENGLISH[0] + ENGLISH[1]),),
    "one glyph for all": ("aaaa aaaaaaa aaaa aaaa aaaaaa aaaaaaa aaaaaaaa aaaaaaa",),
    "characters of all scripts": ("".join(chr(base + n) for n in range(12) for base in SCRIPTS),),
}  # fmt: skip


@pytest.mark.parametrize("name", LOST)
def test_what_no_language_writes_is_garbage(name: str) -> None:
    assert garbage(LOST[name])


def test_random_letters_are_garbage_and_real_pages_are_not() -> None:
    chance = random.Random(0)
    consonants = ["".join(chance.choices("bcdfghjklmnpqrstvwxz", k=7)) for _ in range(60)]
    assert garbage(consonants)
    assert not garbage([" ".join(chance.choices(" ".join(ENGLISH).split(), k=9)) for _ in range(40)])
